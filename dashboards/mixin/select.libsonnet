// SPDX-License-Identifier: GPL-2.0-or-later
// Selectors and templates that rules and alerts share.
{
  // A series with its selector: metric{selector,more}, without braces where nothing is selected.
  series(metric, selector, more='')::
    local inner = std.join(',', std.filter(function(part) part != '', [selector, more]));
    if inner == '' then metric else '%s{%s}' % [metric, inner],

  // In an annotation: `text` about the first sample of `query`, nothing when there is none.
  // In the query %s stands for the labels of the alert's table.
  about(query, text)::
    '{{ with printf "%s" $labels.instance $labels.netns | query }}{{ with first . }}%s{{ end }}{{ end }}' %
    [std.strReplace(query, '$table', "instance='%s',netns='%s'"), text],
}
