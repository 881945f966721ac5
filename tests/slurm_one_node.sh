#!/usr/bin/env bash
# A Slurm cluster of this one machine, for trying profiles/slurm: root, Debian's packages
# slurmctld, slurmd, slurm-client and munge, and a folder for its configuration, logs and state.
#
#   tests/slurm_one_node.sh start FOLDER
#   make figures PROFILE=quick WHERE="--profile profiles/slurm --slurm-status-command squeue"
#   tests/slurm_one_node.sh stop FOLDER
set -euo pipefail
action=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
host=$(hostname -s)

configure() {
  mkdir -p "$folder/state" "$folder/spool"
  [ -f "$folder/munge.key" ] || head -c 1024 /dev/urandom >"$folder/munge.key"
  chmod 700 "$folder"
  chmod 600 "$folder/munge.key"
  # The executor takes SLURM_CONF out of its jobs' environment, so the usual place has to do.
  mkdir -p /etc/slurm
  ln -sf "$folder/slurm.conf" /etc/slurm/slurm.conf
  cat >"$folder/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
# No control groups, no accounting database: containers have neither.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
# Finished jobs are asked for by squeue, so they must be remembered.
MinJobAge=3600
MpiDefault=none
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
}

start() {
  configure
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
    --seed-file="$folder/munged.seed"
  slurmctld
  slurmd
  for _ in $(seq 60); do
    [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ] && exec sinfo
    sleep 1
  done
  echo "the node did not become idle; see $folder/slurmctld.log and slurmd.log" >&2
  exit 1
}

stop() {
  for daemon in slurmd slurmctld munged; do
    [ -f "$folder/$daemon.pid" ] && kill "$(cat "$folder/$daemon.pid")"
  done
}

"$action"
