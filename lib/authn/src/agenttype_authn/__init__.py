"""Who a caller is: the bearer token of a request, and the API server's answer whose token it is.

Here live the shape that a token must have, the TokenReview object, and the memory of its answers: how long each is
kept, how many reviews run at once, and that a caller is refused when the API server cannot be asked. What a caller may
do is decided elsewhere, and so is how a review reaches the API server: the room that asks passes a `TokenReviewer` in.
This room imports no other room and opens no sockets; the programs import it.

``bearer``, ``review_object`` and ``service_account`` are pure.
"""
