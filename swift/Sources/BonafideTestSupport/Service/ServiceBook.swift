import BonafideCore

/// What a service knows, and what it answers from that.
struct ServiceBook: Sendable {
    struct Instance: Sendable {
        let name: String
        let sign: PublicKey
        var agree: PublicKey
        var key: String?
        /// Of the last assertion or the attestation: seconds since 1970.
        var shownAt: Double
    }

    private struct Challenge {
        let purpose: String
        let ends: Double
        /// The digest of what it was spent on.
        var spentOn: [UInt8]?
    }

    /// Client data and evidence of a message, read.
    private struct Contents {
        let clientData: JSON
        let evidence: [JSON]
        let digest: [UInt8]

        init?(_ message: ServiceMessage, type: String, app: String) {
            guard let body = JSON(octets: message.body), body.names == ["client_data", "evidence"],
                let octets = body["client_data"]?.text.flatMap({ Base64.urlDecoded($0) }),
                let clientData = JSON(octets: octets), clientData["type"] == .string(type),
                clientData["app"] == .string(app), let evidence = body["evidence"]?.elements
            else { return nil }
            self.clientData = clientData
            self.evidence = evidence
            digest = SoftwareCrypto().sha256(message.body)
        }

        func text(_ name: String) -> String { clientData[name]?.text ?? "" }

        func key(_ name: String) -> PublicKey? { clientData[name].flatMap { PublicKey(jwk: $0) } }
    }

    private typealias Refusal = SimulatedService.Refusal

    let app: String
    let issuer: SessionIssuer
    var lifetime: Int
    var reattestAfter: Double = 86_400
    var instances: [Instance] = []
    var documents = ServiceDocuments()
    /// What was issued, by its client attestation.
    private(set) var issued: [String: SessionClaims] = [:]
    private var challenges: [String: Challenge] = [:]
    private var nonces: Set<String> = []
    /// Every session that was given, by its `sid` in base64url.
    private(set) var sessions: [String: SessionClaims] = [:]
    private var made = 0

    init(app: String, issuer: SessionIssuer, lifetime: Int) {
        self.app = app
        self.issuer = issuer
        self.lifetime = lifetime
    }

    mutating func demandAssertions() {
        for index in instances.indices { instances[index].shownAt = -.infinity }
    }

    /// Reads a message and answers it.
    mutating func answer(
        _ message: ServiceMessage, _ endpoint: SimulatedService.Endpoint, instance: String, now: Double
    ) -> ServiceAnswer {
        switch endpoint {
        case .challenge: giveChallenge(message, now)
        case .instances: enrol(message, now)
        case .renewals: renew(message, instance, now)
        case .secrets, .configuration, .pins: answerQuestion(message, endpoint, now)
        }
    }

    /// A refusal as a problem document.
    static func answer(_ refusal: SimulatedService.Refusal, now: Double) -> ServiceAnswer {
        var fields = ["date": refusal.date ?? httpDate(now), "bonafide-record": "simulated"]
        fields["bonafide-action"] = refusal.action
        fields["retry-after"] = refusal.retryAfter
        return ServiceAnswer(
            head: AnswerHead(status: refusal.status, fields: fields),
            body: (["status": .integer(refusal.status)] as JSON).octets)
    }

    /// Answers who asks for a document, if the proof is by an instance that is known here.
    private mutating func answerQuestion(
        _ message: ServiceMessage, _ endpoint: SimulatedService.Endpoint, _ now: Double
    ) -> ServiceAnswer {
        guard let proof = MessageProof(message), let session = proof.attestation.flatMap({ issued[$0] }),
            now < Double(session.expiresAt), let asker = instances.first(where: { $0.name == session.instance })
        else { return Self.answer(Refusal(action: .renew), now: now) }
        let isHardware = proof.isValid(by: asker.sign)
        guard isHardware || proof.isValid(by: session) else { return Self.answer(Refusal(), now: now) }
        guard proof.created > now - 60, proof.created <= now + 5 else {
            return Self.answer(Refusal(action: .fixClock), now: now)
        }
        guard nonces.insert(proof.nonce).inserted, isHardware || endpoint != .secrets else {
            return Self.answer(Refusal(action: .signAgain), now: now)
        }
        let addressee = DocumentClaims.Addressee(
            instance: session.instance, jkt: session.jkt, question: proof.question)
        guard let body = documents.answer(endpoint, app: app, to: addressee, agree: asker.agree, by: issuer, now) else {
            return Self.answer(Refusal(status: 404), now: now)
        }
        return answer(200, body, now)
    }

    private func answer(_ status: Int, _ json: JSON, _ now: Double) -> ServiceAnswer {
        let fields = ["date": httpDate(now), "cache-control": "no-store"]
        return ServiceAnswer(head: AnswerHead(status: status, fields: fields), body: json.octets)
    }

    private mutating func giveChallenge(_ message: ServiceMessage, _ now: Double) -> ServiceAnswer {
        let body = JSON(octets: message.body)
        guard let purpose = body?["purpose"]?.text, ["enrol", "renew"].contains(purpose), body?["app"] == .string(app)
        else { return Self.answer(Refusal(status: 400, action: .updateApp), now: now) }
        let seconds = purpose == "enrol" ? 86_400 : 4200
        let text = makeChallenge(purpose, ends: now + Double(seconds))
        return answer(200, ["attestation_challenge": .string(text), "expires_in": .integer(seconds)], now)
    }

    private mutating func makeChallenge(_ purpose: String, ends: Double) -> String {
        let text = Base64.urlEncoded(SoftwareCrypto().random(48))
        challenges[text] = Challenge(purpose: purpose, ends: ends)
        return text
    }

    private mutating func enrol(_ message: ServiceMessage, _ now: Double) -> ServiceAnswer {
        guard let contents = Contents(message, type: "enrol", app: app), let sign = contents.key("sign_jwk"),
            let agree = contents.key("agree_jwk"), contents.evidence.count <= 1
        else { return Self.answer(Refusal(status: 400, action: .updateApp), now: now) }
        if let refusal = admit(message, contents, purpose: "enrol", by: sign, now) {
            return Self.answer(refusal, now: now)
        }
        let key = contents.evidence.first?["key_id"]?.text
        let index = instances.firstIndex { $0.sign == sign }
        if let key, let owner = instances.firstIndex(where: { $0.key == key }), owner != index {
            return Self.answer(Refusal(status: 403, action: .enrolAgain), now: now)
        }
        if let index {
            instances[index].key = key
            instances[index].agree = agree
            instances[index].shownAt = now
            return issue(201, instances[index], contents, now)
        }
        made += 1
        let instance = Instance(name: "simulated-\(made)", sign: sign, agree: agree, key: key, shownAt: now)
        instances.append(instance)
        return issue(201, instance, contents, now)
    }

    private mutating func renew(_ message: ServiceMessage, _ name: String, _ now: Double) -> ServiceAnswer {
        guard let contents = Contents(message, type: "renew", app: app), contents.text("instance") == name else {
            return Self.answer(Refusal(status: 400), now: now)
        }
        guard let index = instances.firstIndex(where: { $0.name == name }),
            contents.text("jkt") == instances[index].sign.thumbprint(SoftwareCrypto())
        else { return Self.answer(Refusal(action: .enrolAgain), now: now) }
        let isAsserted = contents.evidence.first?["format"] == "apple-app-attest-assertion"
        let isDue = instances[index].key != nil && now - instances[index].shownAt >= reattestAfter
        let refusal = admit(
            message, contents, purpose: "renew", by: instances[index].sign, now, spends: isAsserted || !isDue)
        if let refusal { return Self.answer(refusal, now: now) }
        guard isAsserted || !isDue else { return Self.answer(Refusal(action: .retryWithChallenge), now: now) }
        if isAsserted { instances[index].shownAt = now }
        return issue(200, instances[index], contents, now)
    }

    /// Nil where the message is by `key`, new, and for a challenge that nothing else was sent for.
    private mutating func admit(
        _ message: ServiceMessage, _ contents: Contents, purpose: String, by key: PublicKey, _ now: Double,
        spends: Bool = true
    ) -> SimulatedService.Refusal? {
        let text = contents.text("challenge")
        guard let challenge = challenges[text], challenge.purpose == purpose, now < challenge.ends else {
            return Refusal(action: .retryWithChallenge)
        }
        guard let proof = MessageProof(message), proof.isValid(by: key) else { return Refusal() }
        guard proof.created > now - 60, proof.created <= now + 5 else { return Refusal(action: .fixClock) }
        guard nonces.insert(proof.nonce).inserted else { return Refusal(action: .signAgain) }
        guard challenge.spentOn == nil || challenge.spentOn == contents.digest else {
            return Refusal(action: .retryWithChallenge)
        }
        if spends { challenges[text]?.spentOn = contents.digest }
        return nil
    }

    private mutating func issue(
        _ status: Int, _ instance: Instance, _ contents: Contents, _ now: Double
    ) -> ServiceAnswer {
        let claims = SessionClaims(
            app: app, instance: instance.name, jkt: instance.sign.thumbprint(SoftwareCrypto()),
            challenge: contents.text("challenge"), issuedAt: Int(now), expiresAt: Int(now) + lifetime)
        sessions[Base64.urlEncoded(claims.id)] = claims
        let attestation: JSON = [
            "sub": .string(app), "iat": .integer(claims.issuedAt), "exp": .integer(claims.expiresAt),
            "cnf": ["jwk": instance.sign.jwk],
            "bonafide": ["inst": .string(instance.name), "sid": .string(Base64.urlEncoded(claims.id))],
        ]
        guard let session = try? issuer.issue(claims, to: instance.agree),
            let token = try? issuer.sign(attestation.octets, type: "oauth-client-attestation+jwt")
        else { return Self.answer(Refusal(status: 400), now: now) }
        issued[token] = claims
        let next = makeChallenge("renew", ends: Double(claims.expiresAt) + 600)
        return answer(
            status,
            [
                "instance": .string(instance.name), "client_attestation": .string(token), "session": .string(session),
                "expires_in": .integer(lifetime), "renew_after": .integer(lifetime * 4 / 5),
                "next_challenge": .string(next),
            ], now)
    }
}
