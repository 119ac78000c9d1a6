/// Which key proves a request.
public enum ProofKind: Sendable {
    /// The session's MAC key, and `sign` where there is no session: for most requests.
    case session
    /// The `sign` key, in the Secure Enclave: for logins and whatever else a route demands it for.
    case hardware
}

/// One app on one device, talking to one service and its API.
public final class Client: Sendable {
    public init(configuration: Configuration, world: World) {
        fatalError("not written yet")
    }

    /// Enrols where that has not been done and renews where it is due, ahead of the first request.
    public func prepare() async throws {}

    /// Returns the fields that prove `request`. Without the network where the client attestation is fresh.
    public func prove(_ request: RequestHead, proof: ProofKind) async throws -> ProofFields {
        fatalError("not written yet")
    }

    /// Proves `request`, has `send` send it with these fields, and follows what a refusal asks for, within bounds.
    ///
    /// `repeatable` says that a second sending does no harm: the method is safe, or the request carries an
    /// Idempotency-Key. Redirects are the caller's. Returns the last answer, whatever its status.
    public func perform<Answer: Sendable>(
        _ request: RequestHead, proof: ProofKind, repeatable: Bool,
        send: (ProofFields) async throws -> (Answer, AnswerHead)
    ) async throws -> Answer {
        fatalError("not written yet")
    }
}
