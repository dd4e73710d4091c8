"""State machines against plain models: store, index, manifest, reconcile and merge.

Each takes a part of lazydata through any order of what may happen to it, beside a model of a few
dicts, and compares the two after each step.
"""

from __future__ import annotations

from fuzz_machines_local import ClaimsMachine, IndexMachine, StoreMachine
from fuzz_machines_manifest import ManifestMachine, MergeMachine, ReconcileMachine

MACHINES = {
    "store": StoreMachine,
    "index": IndexMachine,
    "claims": ClaimsMachine,
    "manifest": ManifestMachine,
    "reconcile": ReconcileMachine,
    "merge": MergeMachine,
}
