// SPDX-License-Identifier: GPL-2.0-or-later
// conntide for jsonnet users: prometheusAlerts, prometheusRules and grafanaDashboards, with
// _config (config.libsonnet) to be overridden. The files beside this folder are made from it
// by `make dashboards`; who has no jsonnet takes those.
(import 'config.libsonnet') +
(import 'rules.libsonnet') +
(import 'alerts.libsonnet') +
{
  grafanaDashboards+:: {
    'conntide-fleet.json': import '../conntide-fleet.json',
    'conntide-host.json': import '../conntide-host.json',
    'conntide-cost.json': import '../conntide-cost.json',
  },
}
