# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML as people write it: expressions as blocks, long texts folded, keys in our order."""
import yaml

WIDTH = 100


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def text(dumper, value):
    if "\n" in value:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value.strip() , style="|")
    long = len(value) > WIDTH - 20
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=">" if long else None)


Dumper.add_representer(str, text)


def to_yaml(data, head=""):
    return head + yaml.dump(data, Dumper=Dumper, width=WIDTH, sort_keys=False,
                            allow_unicode=True)
