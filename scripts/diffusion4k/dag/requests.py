"""What a job asks for: in Snakemake's words and in those of the SLURM executor plugin."""

from typing import Any

from diffusion4k.dag.common import Common

RAISED = 3  # the attempt after which a job asks for no more than before


class Requests(Common):
    """Threads and resources of every step, from `resources` and `site` of the configuration."""

    def threads(self, step: str) -> int:
        return self.config["resources"][step]["threads"]

    def resources(self, step: str) -> dict[str, Any]:
        """Memory, minutes and GPUs of a step, raised by attempt; where it runs; how it starts.

        A key whose function gives None is no resource of that job, as Snakemake has it.
        """
        asked, site = self.config["resources"][step], self.config["site"]

        def at_most(limit: str, value: int) -> int:
            return min(value, site[limit]) if limit in site else value

        def mem_mb(wildcards, attempt):
            failed = max(1, attempt - self.ended_slots(step, wildcards))
            return at_most("max_mem_mb", asked["mem_mb"] * (2 + min(failed, RAISED)) // 3)

        def runtime(wildcards, attempt):
            return at_most("max_runtime", asked["runtime"] * (1 + min(attempt, RAISED)) // 2)

        def of_job(key: str):
            return lambda wildcards: self.request(step, wildcards).get(key)

        # a segment of training is resumed, not repeated: its minutes are a slot, always the same
        made: dict[str, Any] = {"mem_mb": mem_mb, "runtime": runtime}
        if step == "train":
            made["runtime"] = self.slot()
        if step == "train" or "gpu" in asked:
            keys = "gpu gpu_model gres nodes mpi tasks tasks_per_gpu slurm_partition launch"
            made |= {key: of_job(key) for key in keys.split()}
        elif "cpu_partition" in site:
            made["slurm_partition"] = site["cpu_partition"]
        named = {"slurm_account": "account", "qos": "qos", "constraint": "constraint"}
        return made | {key: site[name] for key, name in named.items() if name in site}

    def ended_slots(self, step: str, wildcards) -> int:
        """How many of a job's attempts ended as planned: saved, at the end of their slot."""
        return 0

    def slot(self) -> int:
        """Minutes of a job that trains."""
        asked, limit = self.config["resources"]["train"]["runtime"], self.config["site"]
        return min(asked, limit.get("max_runtime", asked))

    def world(self, step: str, wildcards) -> tuple[int, int]:
        """GPUs and nodes of a job."""
        if step != "train":
            return self.config["resources"][step].get("gpu", 0), 1
        train = self.config["backbones"][self.backbone(wildcards.model)]["train"]
        return train["gpus"], train["nodes"]

    def request(self, step: str, wildcards) -> dict[str, Any]:
        """Partition, GPUs, nodes and launch line of one job.

        The traps: `gpu` together with `gres` asks twice; `--gpus` counts over all nodes and `gres`
        on each; a GPU job without `nodes` may get its GPUs on several; `tasks` alone would become
        --ntasks-per-gpu, hence `tasks_per_gpu: 0`; the mere presence of `mpi` makes the job start
        on its first node without srun, which the launch line then calls.
        """
        gpus, nodes = self.world(step, wildcards)
        site = self.config["site"]
        partition = site.get("gpu_partition" if gpus else "cpu_partition")
        made = {"slurm_partition": partition, "launch": self.launch(step, gpus, nodes)}
        if not gpus:
            return made
        model = site.get("gpu_model")
        if nodes == 1 and site["gpu_request"] == "gpu":
            return made | {"gpu": gpus, "gpu_model": model, "nodes": 1}
        made["gres"] = ":".join(["gpu", *([model] if model else []), str(gpus // nodes)])
        if nodes == 1:
            return made | {"nodes": 1}
        return made | {"nodes": nodes, "mpi": "srun", "tasks": nodes, "tasks_per_gpu": 0}

    def launch(self, step: str, gpus: int, nodes: int) -> str:
        """What starts a script: python, or torchrun, once on each node.

        On one node outside SLURM, scripts/on_gpus.py first takes GPUs that no other job has. Ranks
        share the job's cores: Snakemake's OMP_NUM_THREADS, all of them, is not for each.
        """
        ranks = max(gpus // nodes, 1)
        share = f"env OMP_NUM_THREADS={max(self.threads(step) // ranks, 1)}"
        if nodes > 1:
            torchrun = (
                f"exec {share} torchrun --nnodes {nodes} --nproc-per-node {gpus // nodes}"
                " --node-rank $SLURM_NODEID --master-addr $SLURM_LAUNCH_NODE_IPADDR"
                ' --master-port $((20000 + SLURM_JOB_ID % 20000)) "$0" "$@"'
            )
            threads = self.threads(step)
            srun = f"srun --nodes {nodes} --ntasks {nodes} --cpus-per-task {threads}"
            return f"{srun} --kill-on-bad-exit bash -c '{torchrun}'"
        if gpus == 0:
            return "python"
        start = f"{share} torchrun --standalone --nproc-per-node {gpus}" if gpus > 1 else "python"
        return f"python scripts/on_gpus.py {gpus} {start}"
