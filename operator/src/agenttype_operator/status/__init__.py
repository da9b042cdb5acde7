"""What users are told: conditions, the status and Events.

Belongs here: the decision about each condition, the one writer of statuses, and Events. Does not belong here: anything
that changes a child object. Reconcilers and `app` import it.
"""
