# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the parts of tests/http known here."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir,
                                "http"))
