// SPDX-License-Identifier: GPL-2.0-or-later
// Alerts. How the table is, and how soon it fills, is the agent's to say, once for all voices:
// conntide_level and conntide_forecast_alarm have their hysteresis there. Each alert names what
// drives it as far as metrics may: port and state always, addresses where the exporter shows them.
local inhibition = import 'inhibition.libsonnet';
local select = import 'select.libsonnet';

{
  prometheusAlerts+:: {
    local config = $._config,
    local series(metric, more='') = select.series(metric, config.conntideSelector, more),

    local table = 'The table of {{ $labels.netns }} on {{ $labels.instance }}',

    // What an operator asks next: which port and state, what grows, who.
    local largest = select.about(
      "topk(1, conntide_entries{$table,port!='other'})",
      ' Largest: {{ .Labels.l4proto }}/{{ .Labels.port }} {{ .Labels.direction }} in {{ .Labels.state }}, {{ .Value | humanize }} entries.'
    ),
    local grows = select.about(
      "topk(1, sum without (state) (deriv(conntide_entries{$table,port!='other'}[5m])) > 0)",
      ' Grows most: {{ .Labels.l4proto }}/{{ .Labels.port }} {{ .Labels.direction }}, {{ .Value | humanize }} entries/s.'
    ),
    local talker = select.about(
      'topk(1, conntide_talker_entries{$table})',
      ' {{ .Labels.address }} opened {{ .Value | humanize }} of them.'
    ),
    local reason = select.about(
      'conntide_level_reason{$table}', ' Reason: {{ .Labels.reason }}.'
    ),
    local losses = select.about(
      'netns:conntide_losses:rate5m{$table} > 0', ' Losses: {{ .Value | humanize }}/s.'
    ),
    local pool = select.about(
      'topk(1, conntide_nat_pool_ports{$table})',
      ' Fullest: {{ .Labels.address }} towards {{ .Labels.remote }} port {{ .Labels.remote_port }}, {{ .Value | humanize }} ports in use.'
    ),

    // `resolved` is what a resolved message says (dashboards/alertmanager/conntide.tmpl).
    local alert(name, severity, expr, wait, summary, description, resolved, keep=null) = {
      alert: name,
      expr: expr,
      'for': wait,
      [if keep != null then 'keep_firing_for']: keep,
      labels: { severity: severity },
      annotations: {
        summary: summary,
        description: description,
        resolved: resolved,
        runbook_url: config.runbookURLPattern % name,
        dashboard_url: '%s/d/%s?var-instance={{ $labels.instance }}' % [config.grafanaURL, config.hostDashboardUID],
      },
    },
    // The level's name is no label of the alert: one alert goes through HIGH, CRITICAL and FULL.
    local level(names) =
      'max without (level) (%s) == 1' % series('conntide_level', 'level=~"%s"' % names),

    // Without what has an alert of its own, as early and as severe. The agent names the fill first:
    // where the table itself is at that level, the reason is none of these.
    local tableLevel(names, others) = |||
      %s
        unless on (job, instance, netns)
      %s
    ||| % [level(names), series('conntide_level_reason', 'reason=~"%s"' % others)],

    // What Alertmanager silences goes on as long as what silences it (inhibition.libsonnet): it
    // takes the expression of that, and the labels it had itself. Both end at one evaluation, and
    // Prometheus sends in the order of the rules: what silences stands first, so that Alertmanager
    // never hears that the other ended while that still silences it. Nobody is sent an info alert.
    local held(alerts) =
      local named = { [one.alert]: one for one in alerts };
      local position(name) = std.find(name, [one.alert for one in alerts])[0];
      local silences = [
        assert position(source) < position(target) : '%s has to stand before %s' % [source, target];
        { source: named[source], target: target, equal: pair.equal }
        for pair in inhibition
        for source in pair.sources
        for target in pair.targets
      ];
      local goesOn(one, pair) =
        assert std.get(one, 'keep_firing_for') == std.get(pair.source, 'keep_firing_for') :
               '%s and %s have to end at once' % [one.alert, pair.source.alert];
        one {
          expr: |||
            %s
              or
            (
              max without (alertname, alertstate, severity) (ALERTS{alertname="%s",alertstate="firing"})
                and on (%s)
              ALERTS{alertname="%s",alertstate="firing"}
                and on (%s)
              (%s)
            )
          ||| % [
            std.rstripChars(one.expr, '\n'),
            one.alert,
            std.join(', ', pair.equal),
            pair.source.alert,
            std.join(', ', pair.equal),
            std.strReplace(std.rstripChars(pair.source.expr, '\n'), '\n', '\n  '),
          ],
        };
      local silenced(one) = [
        pair
        for pair in silences
        if pair.target == one.alert && one.labels.severity != 'info'
      ];
      [std.foldl(goesOn, silenced(one), one) for one in alerts],

    groups+: [
      {
        name: 'conntide.alerts',
        rules: held([
          alert(
            'ConntideTableCritical', 'critical',
            tableLevel('CRITICAL|FULL', 'nat-pool|chains'), config.criticalFor,
            'The connection tracking table is at level CRITICAL or FULL.',
            table + ' is at level CRITICAL or FULL; new connections are lost when it is full.' +
            reason + losses + largest + talker + ' Next: conntide advice.',
            table + ' is no longer reported at level CRITICAL or FULL.',
            config.keepFiringFor
          ),
          alert(
            'ConntideTableFillsSoon', 'critical',
            series('conntide_forecast_alarm') + ' == 1',
            config.forecastAlarmFor,
            'The connection tracking table will probably be full within ten minutes.',
            table + ' is likely to be full within ten minutes' + select.about(
              "(conntide_forecast_time_to_full_seconds{$table,bound='likely'} < 3600) > 20",
              ', most likely in {{ .Value | humanizeDuration }}'
            ) + '; new connections are lost when it is.' + grows + largest + talker +
            ' Next: conntide advice.',
            table + ' is no longer expected to fill within ten minutes.',
            config.keepFiringFor
          ),
          alert(
            'ConntideTableFillsEventually', 'warning',
            |||
              (
                %s
                  > ignoring(limit)
                %s
                  and
                netns:conntide_fill:ratio > 0.5
              )
            ||| % [series('conntide_forecast_settles_at_entries'), series('conntide_limit_entries')],
            '30m',
            'The connection tracking table settles above its limit.',
            table + ' would settle at {{ $value | humanize }} entries, more than its limit, if demand stays as it is.' +
            grows + largest + ' Next: conntide forecast, conntide advice.',
            table + ' is no longer expected to settle above its limit.',
            config.keepFiringFor
          ),
          alert(
            'ConntideTableHigh', 'warning',
            tableLevel('HIGH|CRITICAL|FULL', 'nat-pool|chains|insert-failed|expectations'), config.highFor,
            'The connection tracking table is at level HIGH or worse.',
            table + ' is at level HIGH or worse.' + reason + largest + talker + ' Next: conntide why, conntide advice.',
            table + ' is no longer reported at level HIGH or worse.',
            config.keepFiringFor
          ),
          alert(
            'ConntideDrops', 'critical',
            'rate(%s[5m]) > 0' % series('conntide_drop_total'), '5m',
            'Packets are dropped because the connection tracking table is full.',
            '{{ $value | humanize }} packets a second are dropped in {{ $labels.netns }} on {{ $labels.instance }}.' +
            largest + talker + ' Next: conntide advice.',
            'No packets are dropped in {{ $labels.netns }} on {{ $labels.instance }} any more.'
          ),
          alert(
            'ConntideEvictions', 'warning',
            'rate(%s[5m]) > 0' % series('conntide_early_drop_total'), '5m',
            'Entries are evicted early because the connection tracking table is full.',
            '{{ $value | humanize }} entries a second are evicted in {{ $labels.netns }} on {{ $labels.instance }}; packets are dropped next.' +
            largest + talker + ' Next: conntide advice.',
            'No entries are evicted in {{ $labels.netns }} on {{ $labels.instance }} any more.'
          ),
          alert(
            'ConntideChainsTooLong', 'critical',
            // As early as ConntideTableCritical, which leaves it to this alert; not for one burst, but
            // for bursts that come again.
            |||
              rate(%s[5m]) > 0
                and on (job, instance, netns)
              (%s or rate(%s[5m] offset 5m) > 0)
            ||| % [
              series('conntide_chaintoolong_total'),
              level('CRITICAL|FULL'),
              series('conntide_chaintoolong_total'),
            ], config.criticalFor,
            'Packets are dropped because hash chains are too long, below the limit.',
            '{{ $value | humanize }} packets a second are dropped in {{ $labels.netns }} on {{ $labels.instance }} although the table is not full. Raise net.netfilter.nf_conntrack_buckets; conntide status shows the limit that follows from it.',
            'No packets are dropped for long chains in {{ $labels.netns }} on {{ $labels.instance }} any more.',
            config.keepFiringFor
          ),
          // The table may be nearly empty.
          alert(
            'ConntideNatPoolExhausted', 'critical',
            '%s >= %g' % [series('conntide_nat_pool_used_ratio'), config.natRatioCritical], '1m',
            'Source NAT has run out of ports towards one destination; new connections fail.',
            '{{ $value | humanizePercentage }} of the ports of one outside address of {{ $labels.netns }} on {{ $labels.instance }} towards one destination ({{ $labels.l4proto }}/{{ $labels.remote_port }}) cannot be had. Part of the new connections fail, and a larger table does nothing.' +
            pool + ' Next: conntide nat, conntide advice.',
            'Ports towards {{ $labels.l4proto }}/{{ $labels.remote_port }} can be had again in {{ $labels.netns }} on {{ $labels.instance }}.',
            config.keepFiringFor
          ),
          alert(
            'ConntideNatPoolFillsSoon', 'warning',
            |||
              %s >= %g
                or
              (%s and on (job, instance, netns)
                %s < 600)
            ||| % [
              series('conntide_nat_pool_used_ratio'),
              config.natRatioWarning,
              series('conntide_nat_pool_used_ratio'),
              series('conntide_forecast_nat_time_to_full_seconds', 'bound="likely"'),
            ],
            '30s',
            'Source NAT runs out of ports towards one destination.',
            '{{ $value | humanizePercentage }} of the ports of one outside address of {{ $labels.netns }} on {{ $labels.instance }} towards one destination ({{ $labels.l4proto }}/{{ $labels.remote_port }}) cannot be had; from 90 % on new connections fail, and a larger table does nothing.' +
            pool + ' Next: conntide nat.',
            'Ports towards {{ $labels.l4proto }}/{{ $labels.remote_port }} can be had again in {{ $labels.netns }} on {{ $labels.instance }}.',
            config.keepFiringFor
          ),
          alert(
            'ConntideInsertFailures', 'warning',
            'netns:conntide_insert_failed_per_new_entries:ratio_rate5m > %g' % config.insertFailuresRatio, '10m',
            'More than one in a hundred connection tracking entries cannot be inserted.',
            '{{ $value | humanizePercentage }} of new entries fail in {{ $labels.netns }} on {{ $labels.instance }}. A NAT pool (conntide nat), long chains, or DNS races behind NAT: conntide why tells them apart.',
            'Entries are inserted again in {{ $labels.netns }} on {{ $labels.instance }}.',
            config.keepFiringFor
          ),
          alert(
            'ConntideExpectationsFill', 'warning',
            '%s / %s > %g' % [
              series('conntide_expectations'), series('conntide_expectations_limit'), config.expectationsRatio,
            ],
            '2m',
            'The table of expectations is nearly full; calls and transfers that helpers announce will be refused.',
            '{{ $value | humanizePercentage }} of the expectations of {{ $labels.netns }} on {{ $labels.instance }} are in use; at the limit helpers (SIP, FTP, TFTP) drop packets. Raise net.netfilter.nf_conntrack_expect_max. Next: conntide status, conntide advice.',
            'The table of expectations of {{ $labels.netns }} on {{ $labels.instance }} has room again.',
            config.keepFiringFor
          ),
          alert(
            'ConntideSettingChanged', 'info',
            'time() - %s < %d' % [
              series('conntide_setting_changed_timestamp_seconds'), config.settingChangedForSeconds,
            ],
            '0s',
            'A setting of connection tracking was changed.',
            '{{ $labels.setting }} was changed in {{ $labels.netns }} on {{ $labels.instance }} {{ $value | humanizeDuration }} ago. If nobody did it on purpose, two programs may be writing it (sysctl.d, kube-proxy). Next: conntide status, which has the old and the new value.',
            '{{ $labels.setting }} has not been changed again in {{ $labels.netns }} on {{ $labels.instance }}.'
          ),
          alert(
            'ConntideOnePortHoldsHalf', 'info',
            |||
              netns_port:conntide_entries:sum{port!="other"}
                / on (job, instance, netns) group_left ()
              %s
                > %g
                and on (job, instance, netns)
              netns:conntide_fill:ratio > %g
            ||| % [series('conntide_mirror_entries'), config.shareOfOnePort, config.shareFromFill],
            '10m',
            'One port holds more than half of a connection tracking table that is half full.',
            '{{ $labels.l4proto }}/{{ $labels.port }} {{ $labels.direction }} holds {{ $value | humanizePercentage }} of the table of {{ $labels.netns }} on {{ $labels.instance }}.' +
            largest + talker + ' Next: conntide why.',
            '{{ $labels.l4proto }}/{{ $labels.port }} {{ $labels.direction }} no longer holds half of the table of {{ $labels.netns }} on {{ $labels.instance }}.',
            config.keepFiringFor
          ),
          alert(
            'ConntideOneHostHoldsHalf', 'info',
            |||
              %s > %g
                and
              netns:conntide_fill:ratio > %g
            ||| % [series('conntide_largest_talker_ratio'), config.shareOfOneHost, config.shareFromFill],
            '10m',
            'One host opened more than half of a connection tracking table that is half full.',
            'One address opened {{ $value | humanizePercentage }} of the entries of {{ $labels.netns }} on {{ $labels.instance }}.' +
            talker + largest + ' Next: conntide talkers.',
            'No address holds half of the table of {{ $labels.netns }} on {{ $labels.instance }} any more.',
            config.keepFiringFor
          ),
          alert(
            'ConntideIncidentActive', 'info',
            series('conntide_incident_active') + ' == 1', '1m',
            'The connection tracking table filled, and conntide is keeping an incident.',
            table + ' passed 80 % of its limit, or losses began, and it has not recovered.' + largest +
            ' Next: conntide incidents.',
            table + ' is out of the incident; conntide incidents shows how it filled.',
            config.keepFiringFor
          ),
          alert(
            'ConntideAgentDown', 'critical',
            series('conntide_agent_state', 'state=~"silent|stopped|rebooted|missing|unreadable"') + ' == 1', '2m',
            'The connection tracking table is not watched, because the agent does not run.',
            'The agent of {{ $labels.netns }} on {{ $labels.instance }} is {{ $labels.state }}. Next: systemctl status conntide-agent.',
            'The agent of {{ $labels.netns }} on {{ $labels.instance }} is no longer reported {{ $labels.state }}.'
          ),
          alert(
            'ConntideAgentDegraded', 'warning',
            series('conntide_agent_state', 'state="degraded"') + ' == 1', '5m',
            'The agent follows the table only in part, because of overload.',
            'The agent of {{ $labels.netns }} on {{ $labels.instance }} cannot keep up with all events. Give it CPU. Next: conntide status.',
            'The agent of {{ $labels.netns }} on {{ $labels.instance }} is no longer reported degraded.'
          ),
          alert(
            'ConntideForecastUnreliable', 'info',
            |||
              netns_horizon:conntide_forecast_held_per_compared:ratio_increase6h{horizon="600"} < 0.5
                and
              increase(%s[6h]) > 100
            ||| % series('conntide_forecast_compared_total', 'horizon="600"'),
            '30m',
            'The forecasts of the connection tracking table often do not hold.',
            'Of the forecasts over ten minutes for {{ $labels.netns }} on {{ $labels.instance }} {{ $value | humanizePercentage }} held in six hours, where 80 % should. Next: conntide forecast --history.',
            'The forecasts for {{ $labels.netns }} on {{ $labels.instance }} are no longer reported to fail.'
          ),
          alert(
            'ConntideNotExact', 'warning',
            'max without (quality) (%s) == 1' % series('conntide_quality', 'quality="not_exact"'), '15m',
            'The breakdown by port and state is not exact.',
            'For 15 minutes the numbers by port and state of {{ $labels.netns }} on {{ $labels.instance }} may differ from the kernel\'s. Next: conntide status, which gives the reason.',
            'The numbers of {{ $labels.netns }} on {{ $labels.instance }} are no longer reported as not exact.'
          ),
          alert(
            'ConntideEventsLost', 'warning',
            'rate(%s[5m]) > 0' % series('conntide_events_lost_total'), '5m',
            'Connection tracking events are lost.',
            '{{ $value | humanize }} events a second are lost in {{ $labels.netns }} on {{ $labels.instance }}; each loss costs a dump. Raise --event-buffer of conntide-agent. Next: conntide status.',
            'No events are lost in {{ $labels.netns }} on {{ $labels.instance }} any more.'
          ),
          alert(
            'ConntideExporterDown', 'critical',
            '%s == 0' % select.series('up', config.exporterSelector), '5m',
            'The exporter cannot be scraped.',
            'Prometheus gets no answer from {{ $labels.instance }}. Next: systemctl status conntide-exporter.',
            '{{ $labels.instance }} answers again.'
          ),
          alert(
            'ConntideAbsent', 'warning',
            'absent(%s)' % select.series('up', config.exporterSelector), '10m',
            'Prometheus has no conntide target at all.',
            'No target of this Prometheus is an exporter of conntide: a scrape configuration is missing, or service discovery finds nothing.',
            'Prometheus has conntide targets again.'
          ) + { annotations+: { dashboard_url: '%s/d/%s' % [config.grafanaURL, config.fleetDashboardUID] } },
          alert(
            'ConntideWebConfigBroken', 'warning',
            series('conntide_config_last_reload_successful') + ' == 0', '5m',
            'The web configuration of the exporter is broken.',
            '{{ $labels.instance }} goes on with the configuration it had before. Look for the line with promtool check web-config.',
            'The web configuration of {{ $labels.instance }} is in force.'
          ),
        ]),
      },
    ],
  },
}
