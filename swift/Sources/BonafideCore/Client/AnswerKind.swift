/// How an answer comes.
public enum AnswerKind: Sendable {
    /// As any HTTP answer: whoever owns the connection can read and write it.
    case clear
    /// Sealed to this app for this one request: nobody on the way reads it, or has written it. For routes that say
    /// `seal = true`, and for no others: what comes in clear is an error and never a body.
    case sealed
}

extension Client {
    /// Proves `request`, has `send` send it with these fields, and follows what a refusal asks for, within bounds.
    ///
    /// `repeatable` says that a second sending does no harm: the method is safe, or the request carries an
    /// Idempotency-Key. Redirects are the caller's. `send` returns what came with its head: for a sealed answer that of
    /// `ProofFields.open`, else the one on the wire. Returns the last answer, whatever its status. Throws
    /// `BonafideError`, among them `.outcomeUnknown` where only the caller can decide about sending again,
    /// `CancellationError`, and what `send` throws; `.answerNotSealed` for a last answer in clear where `.sealed` was
    /// asked for, and `.answerRefused` for a sealed one where it was not.
    public func perform<Answer: Sendable>(
        _ request: RequestHead, proof: ProofKind = .session, answer kind: AnswerKind = .clear, repeatable: Bool,
        send: (ProofFields) async throws -> (Answer, AnswerHead)
    ) async throws -> Answer {
        if kind == .sealed { try request.requireSealable() }
        let (answer, head) = try await follow(request, proof: proof, repeatable: repeatable) { fields in
            let (answer, head) = try await send(fields)
            return ((answer, head), head)
        }
        switch kind {
        case .sealed where !head.isSealed:
            throw head.notSealed
        case .clear where head.isSealed || head.saysSealed:
            throw BonafideError.answerRefused(SealRefused.unexpected.rawValue)
        case .clear, .sealed: return answer
        }
    }

    /// As `prove`, for a request whose answer is to be sealed.
    package func proveForSealedAnswer(_ request: RequestHead, proof: ProofKind) async throws -> ProofFields {
        try request.requireSealable()
        return try await prove(request, proof: proof)
    }
}

extension RequestHead {
    fileprivate func requireSealable() throws {
        guard method != "HEAD" else {
            throw BonafideError.requestNotSignable("HEAD, whose answer has no body that could be sealed")
        }
    }
}

extension AnswerHead {
    /// What a caller learns of an answer in clear who wants a sealed one.
    package var notSealed: BonafideError { .answerNotSealed(status: status, action: action, record: record) }
}

/// What an answer is sealed for: the octets that were signed, and the session that they go with. Its key is derived only
/// where an answer is opened.
struct Question: Sendable {
    let session: Session
    let base: [UInt8]
}

extension ProofFields {
    /// Opens the sealed answer to the request that these fields proved; `head` is its head as it came, `next` gives the
    /// octets of its body in pieces of any size, and nil at the end.
    ///
    /// Proves: a holder of the session's key (the API, its gate, the service) sealed fields and body for this request
    /// and this status, and nothing is missing. Not proven: which of them, and how old it is beyond that the request
    /// was made before it. `body` releases what it kept only then. Throws `BonafideError.sealRefused`, and what
    /// `next` and `body` throw.
    public func open<Keeper: UnreleasedBody>(
        _ head: AnswerHead, into body: Keeper, crypto: any Crypto, next: () throws -> [UInt8]?
    ) throws -> SealedAnswer<Keeper.Released> {
        do {
            guard let question, head.saysSealed else { throw SealRefused.notSealed }
            // A coding that was undone on the way here is not that of whoever sealed.
            guard ["identity", nil].contains(head["content-encoding"]?.lowercased()) else {
                throw SealRefused.headerRefused
            }
            let key = AnswerKey(
                session: question.session.id, sessionKey: question.session.key, base: question.base, crypto: crypto)
            return try key.open(status: head.status, into: body, crypto: crypto, next: next)
        } catch let refused as SealRefused {
            throw BonafideError.sealRefused(refused.rawValue)
        }
    }
}
