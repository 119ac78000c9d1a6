extension Client {
    /// Asks for this install's secrets, with a hardware proof.
    ///
    /// Nothing is kept: the caller has them in memory, and asks again when they end. Proves that the service gave
    /// them to this install in answer to this very request, not that nothing else in the app reads them. Throws
    /// `BonafideError`: `.answerRefused` (`document.…`) for what is not the service's answer to this question,
    /// `.refused` where the service gives none; and `CancellationError`.
    public func secrets() async throws -> AppSecrets {
        let reply = try await ask("/secrets", proof: .hardware)
        return try reply.opening("secrets") { token in
            try AppSecrets.open(
                token, key: reply.agree, pins: configuration.serviceKeys, addressee: reply.addressee,
                now: clock.now(), crypto: world.crypto)
        }
    }

    /// Asks for the remote configuration, both parts of it.
    ///
    /// The version of the shared part is kept: none lower is taken from then on. Throws as `secrets`.
    public func remoteConfiguration() async throws -> RemoteConfiguration {
        let reply = try await ask("/configuration", proof: .session)
        let sealed = try reply.opening("sealed") { token in
            try RemoteConfiguration.openSealed(
                token, key: reply.agree, pins: configuration.serviceKeys, addressee: reply.addressee,
                now: clock.now(), crypto: world.crypto)
        }
        let shared = try keeping { documents in
            let shared = try reply.opening("public") { token in
                try RemoteConfiguration.openShared(
                    token, pins: configuration.serviceKeys, app: configuration.app, seen: documents.configuration,
                    now: clock.now(), crypto: world.crypto)
            }
            documents.configuration = shared.version
            return shared
        }
        return RemoteConfiguration(shared: shared, sealed: sealed)
    }

    /// Asks for the pin document, keeps it, and returns the one that holds from now on: `held` where nothing newer
    /// came.
    ///
    /// Throws as `secrets`; `document.version_lower` for one that is older than `held` or than any that was kept.
    public func pins(holding held: PinDocument?) async throws -> PinDocument {
        let reply = try await ask("/pins", proof: .session)
        return try keeping { documents in
            let document = try reply.opening("pins") { token in
                try PinDocument.open(
                    token, pins: configuration.serviceKeys, app: configuration.app,
                    seen: max(documents.pins, held?.version ?? 0), now: clock.now(), crypto: world.crypto)
            }
            let newest = newest(held, in: documents)
            guard document.replaces(newest) else { return newest ?? document }
            documents.hold(document)
            return document
        }
    }

    /// As `pins(holding:)`, where the service has not been asked for a day; else nil.
    ///
    /// An answer counts as one whatever it is; where none came, the next call asks.
    package func pinsWhereDue(holding held: PinDocument?) async throws -> PinDocument? {
        let now = clock.now()
        if let asked = try stored()?.documents.pinsAskedAt, Limits.isWithinDay(asked, now) { return nil }
        do {
            let document = try await pins(holding: held)
            try keeping { $0.pinsAskedAt = now }
            return document
        } catch let error as BonafideError {
            if error.isAnswer { try keeping { $0.pinsAskedAt = now } }
            throw error
        }
    }

    /// The pin document that holds when the app starts: the newest of `embedded`, which the app carries, and the one
    /// that was kept. Without the network.
    ///
    /// What was kept counts only if a key that is pinned now signed it. Throws `BonafideError`.
    package func heldPins(embedded: PinDocument?) throws -> PinDocument? {
        guard let documents = try stored()?.documents else { return embedded }
        let newest = newest(embedded, in: documents)
        if let newest, newest.token != documents.pinDocument, newest.version >= documents.pins {
            try keeping { $0.hold(newest) }  // or a build from before would go back to what it carries
        }
        return newest
    }

    private func newest(_ held: PinDocument?, in documents: Record.Documents) -> PinDocument? {
        let kept = documents.pinDocument.flatMap { token in
            try? PinDocument(token, pins: configuration.serviceKeys, app: configuration.app, crypto: world.crypto)
        }
        guard let kept, kept.replaces(held) else { return held }
        return kept
    }
}

extension Client {
    /// What came in answer to one question, and what it must be for.
    private struct Reply {
        let body: JSON
        let addressee: Addressee
        let agree: any AgreementKey

        /// Opens the token that a member is. Throws `BonafideError`.
        func opening<Value>(_ member: String, _ body: (String) throws -> Value) throws -> Value {
            do {
                guard let token = self.body[member]?.text else { throw DocumentRefused.malformed }
                return try body(token)
            } catch let refused as DocumentRefused {
                throw BonafideError.answerRefused(refused.rawValue)
            } catch is KeyFailure {
                throw BonafideError.keyUnavailable
            }
        }
    }

    /// Two tokens, and what stands around them.
    private static let maxAnswerOctets = 2 * Document.maxOctets + 1024

    private func ask(_ path: String, proof: ProofKind) async throws -> Reply {
        guard let address = ServiceAddress(configuration.service),
            let target = Target(canonical: address.prefix + path)
        else { throw BonafideError.requestNotSignable("the service's URL") }
        let head = try RequestHead(
            method: "GET", scheme: address.scheme, authority: address.authority, target: target,
            contentDigest: ContentDigest(of: [], crypto: world.crypto))
        let url = "\(address.scheme)://\(address.authority)\(target.text)"
        let (answer, question) = try await perform(head, proof: proof, repeatable: true) { fields in
            let message = ServiceMessage(
                method: "GET", url: url, headers: fields.all.map { ($0.name.lowercased(), $0.value) }, body: [],
                maxAnswerOctets: Self.maxAnswerOctets)
            let answer = try await world.carry(message)
            return ((answer, fields.question), answer.head)
        }
        return try reply(answer, to: question)
    }

    private func reply(_ answer: ServiceAnswer, to question: Question?) throws -> Reply {
        let head = answer.head
        guard head.status == 200 else {
            if head.action == .backOff { throw BonafideError.busy(retryAfter: head.retryAfter) }
            throw BonafideError.refused(status: head.status, action: head.action, record: head.record)
        }
        guard let body = JSONReader.object(answer.body, maxOctets: Self.maxAnswerOctets), let question,
            let credentials = live.withLock({ $0 })
        else { throw BonafideError.answerRefused(DocumentRefused.malformed.rawValue) }
        let addressee = Addressee(
            app: configuration.app, instance: credentials.instance, jkt: credentials.keys.jkt,
            question: Document.question(question.base, crypto: world.crypto))
        return Reply(body: body, addressee: addressee, agree: credentials.keys.agree)
    }

    private func stored() throws -> Record? {
        try Ledger.mapped { try world.storage.load() }.flatMap(Record.init)
    }

    private static let maxTakeovers = 16

    /// Judges by what is kept of documents and changes it in one swap: of two processes none goes back behind the
    /// other. Throws `BonafideError` and what `body` throws, and then nothing has changed.
    private func keeping<Value>(_ body: (inout Record.Documents) throws -> Value) throws -> Value {
        for _ in 0..<Self.maxTakeovers {
            do {
                var ledger = try Ledger.open(world, role: configuration.role)
                var documents = ledger.record.documents
                let value = try body(&documents)
                try ledger.change { $0.documents = documents }
                return value
            } catch is Ledger.Moved {
                continue
            }
        }
        throw BonafideError.busy(retryAfter: 1)
    }
}

extension Record.Documents {
    fileprivate mutating func hold(_ document: PinDocument) {
        pins = document.version
        pinDocument = document.token
    }
}

extension BonafideError {
    /// Whether the service, or somebody in its place, answered.
    fileprivate var isAnswer: Bool {
        switch self {
        case .refused, .answerRefused: true
        default: false
        }
    }
}
