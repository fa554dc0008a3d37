// SPDX-License-Identifier: GPL-2.0-or-later
// Which alert silences which: what is worse, or nearer to the cause, silences what only leads up to
// it. Alertmanager's configuration has the same list (a test compares them).
//
// Alertmanager never says that an alert ended when that was while another silenced it. So an alert
// whose end somebody is told of goes on as long as what silences it: alerts.libsonnet.
local table = ['instance', 'netns'];

[
  {
    sources: ['ConntideTableCritical'],
    targets: [
      'ConntideTableFillsSoon',
      'ConntideTableFillsEventually',
      'ConntideTableHigh',
      // Causes of that level that have alerts of their own.
      'ConntideNatPoolFillsSoon',
      'ConntideInsertFailures',
      'ConntideExpectationsFill',
    ],
    equal: table,
  },
  {
    sources: ['ConntideTableFillsSoon'],
    targets: ['ConntideTableFillsEventually', 'ConntideTableHigh'],
    equal: table,
  },
  { sources: ['ConntideDrops'], targets: ['ConntideEvictions'], equal: table },
  {
    sources: ['ConntideNatPoolExhausted'],
    targets: ['ConntideNatPoolFillsSoon', 'ConntideInsertFailures'],
    equal: table,
  },
  { sources: ['ConntideNatPoolFillsSoon'], targets: ['ConntideInsertFailures'], equal: table },
  { sources: ['ConntideChainsTooLong'], targets: ['ConntideInsertFailures'], equal: table },
  {
    sources: ['ConntideTableFillsSoon', 'ConntideTableHigh', 'ConntideTableCritical'],
    targets: ['ConntideOnePortHoldsHalf', 'ConntideOneHostHoldsHalf', 'ConntideIncidentActive'],
    equal: table,
  },
  {
    sources: ['ConntideAgentDown', 'ConntideAgentDegraded'],
    targets: ['ConntideNotExact', 'ConntideEventsLost', 'ConntideForecastUnreliable'],
    equal: table,
  },
  { sources: ['ConntideExporterDown'], targets: ['ConntideWebConfigBroken'], equal: ['instance'] },
]
