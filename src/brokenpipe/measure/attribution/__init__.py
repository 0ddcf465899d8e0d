"""Which fault caused which failure, with evidence: request, connection, proxy connection, fault."""
