"""One file an AWS service that moto does not act out.

Each module has `install(world) -> Controller`, which puts our backend and responses in moto's place before the first
request, once for each Region, and a table `FIDELITY` that says for each operation what stands behind the answer.
Requests record intent; the controller's `step` makes it true. Rules that moto's design dictates:

- The one lock is moto's own `backend_lock` (an RLock). A second one deadlocks, and nothing may wait while holding it.
- `BackendDict` makes a backend per account and Region when first asked; those of the sandbox's own account and Regions
  know their world and are stepped. Elsewhere what must be acted out raises NotImplementedError.
- What AWS has and the sandbox has not raises NotImplementedError, as moto itself does; the front makes it a 501 that
  names the operation. Nothing is half answered.
- An attribute set on a moto object appears in the answer if botocore's model has a member of that name.
"""
