"""An executor for one machine and one process: each task in a supervised process of its own, with a log file.

`airflow dags test` alone runs tasks inside its own process, without log files. Here a task is run as Airflow's
LocalExecutor runs it, by the real supervisor in a real child, so that it can be killed and leaves what a worker
leaves; only the Execution API is asked within this process instead of over HTTP, which spares an API server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.executors.base_executor import BaseExecutor
from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor, supervise_task


class ForkingExecutor(BaseExecutor):
    """Runs tasks one after another."""

    is_local = True

    def _process_workloads(self, workload_items: Sequence[Any]) -> None:
        for workload in workload_items:
            key = workload.ti.key
            del self.queued_tasks[key]
            self.running.add(key)
            supervise_task(
                ti=workload.ti,
                bundle_info=workload.bundle_info,
                dag_rel_path=workload.dag_rel_path,
                token=workload.token,
                client=InProcessTestSupervisor._api_client(),
                log_path=workload.log_path,
                subprocess_logs_to_stdout=True,
            )
            # As LocalExecutor: what became of the task, the supervisor has told the Execution API.
            self.success(key)

    def end(self) -> None:
        """Nothing is left running."""
