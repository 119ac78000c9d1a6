/// Carries messages to the service, and bears with what it asks for within bounds.
struct Courier: Sendable {
    static let maxWaits = 3

    let configuration: Configuration
    let world: World
    let clock: TrustedClock
    let turnstile: Turnstile
    let keys: Ledger.Keys

    /// Asks for a challenge. Returns it and when it ends. Throws `BonafideError`.
    func challenge(_ purpose: String) async throws -> (text: String, ends: Double) {
        let body: JSON = ["purpose": .string(purpose), "app": .string(configuration.app)]
        let answer = try await post("/challenge", body.octets, signed: false)
        guard answer.head.status == 200 else { throw refusal(answer.head) }
        guard let json = JSONReader.object(answer.body), let text = json["attestation_challenge"]?.text,
            Self.isToken(text, upTo: 128), let seconds = json["expires_in"]?.integer, seconds > 0
        else { throw BonafideError.answerRefused("challenge") }
        return (text, clock.now() + Double(min(seconds, Limits.longestChallenge)))
    }

    /// Sends a message, waits where that is asked for, and mends the clock once. Throws `BonafideError`.
    ///
    /// The same pair of client data and evidence may be repeated at will: the service answers it with the same
    /// instance.
    func post(_ path: String, _ body: [UInt8], signed: Bool = true) async throws -> ServiceAnswer {
        var seen: [Action: Int] = [:]
        var patience = configuration.patience
        while true {
            let answer = try await send(path, body, signed: signed)
            clock.learn(answer.head["date"])
            guard let action = answer.head.action else { return answer }
            seen[action, default: 0] += 1
            switch action {
            case .backOff:
                let wait = answer.head.retryAfter * (1 + world.crypto.fraction() / 5)
                guard seen[action, default: 0] <= Self.maxWaits, wait <= patience else {
                    throw BonafideError.busy(retryAfter: wait)
                }
                patience -= wait
                try await world.clock.sleep(wait)
            case .fixClock:
                guard seen[action] == 1 else { throw BonafideError.clockWrong(by: offset(answer.head)) }
            case .signAgain:
                guard seen[action] == 1 else { return answer }
            default: return answer
            }
        }
    }

    /// What a caller learns of a refusal.
    func refusal(_ head: AnswerHead) -> BonafideError {
        .refused(status: head.status, action: head.action, record: head.record)
    }

    /// By how much the device's clock seems to be wrong: for the user's eyes, since nobody signed the answer's date.
    private func offset(_ head: AnswerHead) -> Double? {
        head["date"].flatMap(HTTPDate.seconds).map { world.clock.wall() - $0 }
    }

    private func send(_ path: String, _ body: [UInt8], signed: Bool) async throws -> ServiceAnswer {
        guard let address = ServiceAddress(configuration.service),
            let target = Target(canonical: address.prefix + path)
        else { throw BonafideError.requestNotSignable("the service's URL") }
        var headers = [(name: "content-type", value: "application/json")]
        if signed {
            let head = try RequestHead(
                method: "POST", scheme: address.scheme, authority: address.authority, target: target,
                contentType: "application/json", contentDigest: ContentDigest(of: body, crypto: world.crypto))
            let signer = HardwareSigner(keys: keys, clock: clock, crypto: world.crypto, turnstile: turnstile)
            headers += try await signer.prove(head, attestation: nil, session: nil).all.map {
                ($0.name.lowercased(), $0.value)
            }
        }
        let url = "\(address.scheme)://\(address.authority)\(target.text)"
        return try await world.carry(ServiceMessage(url: url, headers: headers, body: body))
    }

    /// Whether a text is made of base64url's characters: challenges and instances, which go into JSON and paths.
    static func isToken(_ text: String, upTo length: Int, also more: String = "") -> Bool {
        (1...length).contains(text.utf8.count)
            && text.utf8.allSatisfy { octet in
                (0x30...0x39).contains(octet) || (0x41...0x5A).contains(octet) || (0x61...0x7A).contains(octet)
                    || octet == UInt8(ascii: "-") || octet == UInt8(ascii: "_") || more.utf8.contains(octet)
            }
    }
}

extension World {
    /// Has the transport carry a message. Throws `BonafideError`.
    func carry(_ message: ServiceMessage) async throws -> ServiceAnswer {
        do {
            return try await transport.send(message)
        } catch let error as BonafideError {
            throw error
        } catch {
            throw BonafideError.transport(String(describing: error))
        }
    }
}
