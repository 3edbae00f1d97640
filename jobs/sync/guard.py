"""When a plan is too strange to be delivered. Pure; a raised GateError ends the command with exit code 3."""

from jobs.core.definitions import SyncHeader
from jobs.core.errors import GateError, PermanentError
from jobs.sync.outcomes import Operation
from jobs.sync.plan import Plan

# Below this many rows a share says little: three of nine members leaving is no accident.
FREE_ROWS = 100


def check_header(header: SyncHeader, *, is_local: bool) -> None:
    """An unattended first delivery is allowed only where it stays under C360_HOME. Raises PermanentError."""
    if header.first_run == "deliver" and not is_local:
        raise PermanentError(
            f"sync {header.name}: first_run: deliver is allowed for file drops under C360_HOME only; set first_run: hold, "
            f"look at `c360 sync plan {header.name}`, then run: c360 sync run {header.name} --approve-first-run"
        )


def check_plan(header: SyncHeader, plan: Plan, *, acknowledged: int, is_first: bool, approved: bool = False) -> None:
    """Raises GateError naming the first rule that the plan breaks; `acknowledged` is how many rows are held there now."""
    guard, name = header.guard, header.name
    removals, updates = plan.count(Operation.REMOVE), plan.count(Operation.UPDATE)
    desired = plan.unchanged + len(plan.changes) - removals
    see = f"nothing was sent; see: c360 sync plan {name}"
    if desired < guard.min_rows:
        raise GateError(
            f"sync {name}: {desired} rows desired, at least {guard.min_rows} expected; {see}, then repair {header.relation}"
        )
    if removals > FREE_ROWS and removals > guard.max_removal_share * acknowledged:
        raise GateError(
            f"sync {name}: would remove {removals} of {acknowledged} rows, at most {guard.max_removal_share:.0%} allowed; "
            f"{see}, then repair {header.relation} or raise guard.max_removal_share"
        )
    if updates > FREE_ROWS and updates > guard.max_change_share * acknowledged:
        raise GateError(
            f"sync {name}: would change {updates} of {acknowledged} rows, at most {guard.max_change_share:.0%} allowed; "
            f"{see}, then repair {header.relation} or raise guard.max_change_share"
        )
    if is_first and header.first_run == "hold" and not approved:
        raise GateError(f"sync {name}: the first run is held with {desired} rows; {see}, then add --approve-first-run")
