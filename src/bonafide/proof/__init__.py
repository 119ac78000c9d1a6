"""What a request carries to prove possession of a key: RFC 9421 signatures over RFC 9530 digests."""
