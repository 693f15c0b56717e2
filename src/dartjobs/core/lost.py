"""An attempt whose cluster was declared lost: nothing more will be seen of it."""

from dartjobs.core import outcome
from dartjobs.core.world import Move, View
from dartjobs.models.reason import Reason
from dartjobs.models.state import Pair, ResourceState


def decide_lost(view: View) -> Move:
    """The end that its runner had reported, else CLUSTER_LOST; a cluster that was kept for its TTL is let go.

    Its resources are TERMINATING until the cluster is back and swept.
    """
    attempt = view.attempt
    if attempt.job_state.is_final:
        return Move(Pair(ResourceState.TERMINATING, attempt.job_state), Reason.CLUSTER_LOST)
    reported = outcome.of_evidence(view)
    if reported is not None:
        return Move(
            Pair(ResourceState.TERMINATING, reported.target.job_state),
            reported.reason,
            reported.message,
            reported.evidence,
            reported.changes,
        )
    message = f"Cluster {attempt.cluster} was declared lost."
    return outcome.failed(view, Reason.CLUSTER_LOST, message, evidence={"cluster": attempt.cluster})
