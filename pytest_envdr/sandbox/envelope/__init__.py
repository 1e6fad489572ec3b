"""The embedded stack: what stands in the sandboxed account when it opens.

names.py         names and sizes
app/             the application in the tasks: a small real Laravel application
images.py        the application's versions in the registry, good ones and broken ones
database.py      schema and content of the central and the tenant databases
account.py       the account's API as the seed sees it
seed.py          everything below, in order
network.py       VPC, subnets, security groups
stores.py        database, cache, secret
queue.py         the workers' queue, in Redis or in SQS, and their times
services.py      load balancers, task definitions, services, scalable targets
provisioner.py   a new tenant's bucket: event, rule, Lambda function, what catches its failures
functions/       the stack's Lambda functions, as they are uploaded
monitoring.py    alarms, topic, on-call queue
standby.py       what is replicated to the standby Region
terraform/       the same as Terraform modules, which build the standby Region too
imports.py       which resource of the modules each seeded one is
state.py         the modules with this stack's variables, and where their state is
founding.py      the state, made when it is first asked for
stack_file.py    the stack file that describes it
"""
