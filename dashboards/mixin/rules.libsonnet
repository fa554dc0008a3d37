// SPDX-License-Identifier: GPL-2.0-or-later
// Recording rules: what alerts and the fleet's dashboard ask often, a few series a table.
local select = import 'select.libsonnet';

{
  prometheusRules+:: {
    local series(metric, more='') = select.series(metric, $._config.conntideSelector, more),
    local record(name, expr) = { record: name, expr: expr },

    groups+: [
      {
        name: 'conntide.rules',
        rules: [
          record('netns:conntide_fill:ratio',
                 '%s / ignoring(limit) %s' % [series('nf_conntrack_count'), series('conntide_limit_entries')]),
          record('netns_port:conntide_entries:sum',
                 'sum without (state) (%s)' % series('conntide_entries')),
          record('netns:conntide_new_entries:rate5m',
                 'sum without (l4proto, direction, port) (rate(%s[5m]))' % series('conntide_new_entries_total')),
          record('netns:conntide_destroyed_entries:rate5m',
                 'sum without (l4proto, direction, port) (rate(%s[5m]))' % series('conntide_destroyed_entries_total')),
          // The four losses of conntide status, all of them connections or packets.
          record('netns:conntide_losses:rate5m',
                 std.join('\n  +\n', [
                   'rate(%s[5m])' % series(metric)
                   for metric in [
                     'conntide_drop_total',
                     'conntide_early_drop_total',
                     'conntide_chaintoolong_total',
                     'conntide_insert_failed_total',
                   ]
                 ])),
          record('netns:conntide_insert_failed_per_new_entries:ratio_rate5m',
                 'rate(%s[5m])\n  /\n(sum without (l4proto, direction, port) (rate(%s[5m])) > 0)' %
                 [series('conntide_insert_failed_total'), series('conntide_new_entries_total')]),
          record('netns_horizon:conntide_forecast_held_per_compared:ratio_increase6h',
                 'increase(%s[6h])\n  /\nincrease(%s[6h])' %
                 [series('conntide_forecast_held_total'), series('conntide_forecast_compared_total')]),
        ],
      },
    ],
  },
}
