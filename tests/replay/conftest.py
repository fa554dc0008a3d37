# SPDX-License-Identifier: GPL-2.0-or-later
"""The instruments of tests/netns (namespaces, agent, traffic), used here too."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "netns"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
