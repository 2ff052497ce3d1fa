"""A container that runs into each of its limits, as far as the kernel has them."""

MIB = 1 << 20
SCRIPT = """
touch /well
(while :; do
    i=0; while [ $i -lt 8000 ]; do i=$((i + 1)); done
    dd if=/dev/zero of=/file bs=65536 count=4 conv=fsync 2>/dev/null
    dd if=/file of=/dev/null bs=65536 iflag=direct 2>/dev/null
    EAT
    sleep 0.2
done) &
exec httpd -f -p 8000 -h /
"""
# Doubles a text until the kernel puts an end to it; where nothing would, it is left out.
EAT = "(x=0123456789abcdef; while :; do x=$x$x; done)"
# More processes than the limit; run from outside, and after all else: a shell that cannot fork ends.
FORK = "i=0; while [ $i -lt 80 ]; do sleep 60 & i=$((i + 1)); done"


def script(controllers):
    return SCRIPT.replace("EAT", EAT if "memory" in controllers else ":")


def settings(controllers):
    """HostConfig: the engine refuses limits that the kernel does not have."""
    found = {}
    if "cpu" in controllers:
        found |= {"CpuQuota": 20000, "CpuPeriod": 100000}
    if "memory" in controllers:
        found |= {"Memory": 32 * MIB, "MemorySwap": 32 * MIB, "MemoryReservation": 16 * MIB}
    if "pids" in controllers:
        found["PidsLimit"] = 60
    return found
