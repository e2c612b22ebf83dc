"""The files of a cluster for the tests: its slurm.conf, and what stands before srun and sbatch."""

# An executor's inner srun runs without SLURM_CONF. sbatch calls are recorded, one at a time (a line
# is longer than what one write is sure to hold together); while there is a file `moved` (two
# folders, a line each) they name the second instead of the first, as a node would see it that does
# not share the first.
SHIM = """#!/bin/sh
export SLURM_CONF={conf}
{extra}exec {program} "$@"
"""
RECORD = """{{ flock 9; printf '%s ' "$@" >&9; echo >&9; }} 9>> {folder}/sbatch.calls
if [ -e {folder}/moved ]; then
    {{ read -r from; read -r to; }} < {folder}/moved
    for word; do shift; set -- "$@" "$(printf %s "$word" | sed "s#$from#$to#g")"; done
fi
"""

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
PlugStackConfig={folder}/plugstack.conf
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
# no cgroups: a container may not have them
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,bf_interval=1
SlurmdParameters=config_overrides
GresTypes=gpu
# what takes minutes on a real cluster takes seconds here
EpilogMsgTime=0
SlurmdTimeout=8
SlurmctldTimeout=10
MessageTimeout=10
KillWait=5
InactiveLimit=0
ReturnToService=2
MinJobAge=3600
JobRequeue=1
{nodes}
PartitionName=cpu Nodes={cpu_nodes} Default=YES MaxTime=2-0 DefaultTime=10
PartitionName=gpu Nodes={gpu_nodes} MaxTime=2-0 DefaultTime=10
"""
