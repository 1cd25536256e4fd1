"""What the server is busy with, as profiles at /debug/pprof/ that `go tool pprof` and flame-graph viewers open."""

from superchat.ops.profiling.site import make_profiling_site
from superchat.ops.profiling.stalls import ReactorWatch

__all__ = ["ReactorWatch", "make_profiling_site"]
