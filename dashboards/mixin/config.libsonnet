// SPDX-License-Identifier: GPL-2.0-or-later
// What a site may want to change. Everything else of the mixin follows from it.
{
  _config+:: {
    // Which series are conntide's, on both sides of every expression: job="conntide", or "".
    conntideSelector: '',
    // Which targets are exporters of conntide. Without a job name no target can be missed.
    exporterSelector: 'job=~".*conntide.*"',

    // %s is the alert's name. As installed by the package conntide-dashboards.
    runbookURLPattern: 'file:///usr/share/doc/conntide-dashboards/runbooks/%s.md',
    // Grafana, without a slash at the end.
    grafanaURL: 'http://localhost:3000',
    hostDashboardUID: 'conntide-host',
    fleetDashboardUID: 'conntide-fleet',

    // Level, forecast alarm and their hysteresis are the agent's (conntide status). These are
    // what rules add to it.
    forecastAlarmFor: '30s',
    highFor: '10m',
    criticalFor: '2m',
    shareOfOnePort: 0.5,
    shareOfOneHost: 0.5,
    shareFromFill: 0.5,
    natRatioWarning: 0.85,
    natRatioCritical: 0.94,
    insertFailuresRatio: 0.01,
    expectationsRatio: 0.85,
    settingChangedForSeconds: 600,
    keepFiringFor: '5m',
  },
}
