extension Story {
    /// Renews the client attestation and the session. Throws `BonafideError` and `Ledger.Moved`.
    ///
    /// By the `sign` key alone; an assertion is made only where the service refuses that of a challenge it has just
    /// given. An extension cannot make one, and leaves that to the app.
    mutating func renew() async throws { try await renew(assertsAtOnce: false) }

    /// Renews with an assertion that is made now, due or not. Throws as `renew`.
    mutating func renewWithAssertion() async throws {
        // One that was begun before may have been taken before, and what it carries is then as old as that.
        if case .enrolled(let enrolled) = ledger.record.enrolment, enrolled.renewal != nil {
            let rest = enrolled.withoutRenewal(nextChallenge: "")
            try keep { $0.enrolment = .enrolled(rest) }
        }
        try await renew(assertsAtOnce: true)
    }

    private mutating func renew(assertsAtOnce: Bool) async throws {
        var withAssertion = assertsAtOnce
        for _ in 0..<Self.maxRenewals {
            guard case .enrolled(let enrolled) = ledger.record.enrolment else { return try await enrol() }
            guard let (renewal, challengeIsNew) = try await pending(enrolled, withAssertion) else {
                return try await keyIsGone()
            }
            let answer = try await courier.post(
                "/instances/\(enrolled.instance)/renewals",
                ClientData.body(renewal.clientData, evidence: renewal.evidence))
            if answer.head.status == 200 {
                // A provider of evidence for a simulator has none to give, and is not asked again for each that waits.
                let isAsserted = renewal.evidence != .none || assertsAtOnce
                return try adopt(
                    answer, challenge: renewal.challenge, key: enrolled.key,
                    assertedFor: isAsserted ? renewal.challenge : enrolled.assertedFor)
            }
            // A refusal is final for this pair; what the network ate is sent again as it was.
            let rest = enrolled.withoutRenewal(nextChallenge: challengeIsNew ? enrolled.nextChallenge : "")
            try keep { $0.enrolment = .enrolled(rest) }
            switch answer.head.action {
            case .retryWithChallenge:
                if challengeIsNew, withAssertion || enrolled.key == nil { throw courier.refusal(answer.head) }
                if challengeIsNew, configuration.role == .appExtension { throw BonafideError.appMustRun }
                withAssertion = assertsAtOnce || challengeIsNew
            case .enrolAgain: return try await enrolAgain(after: answer.head)
            default: throw courier.refusal(answer.head)
            }
        }
        throw BonafideError.refused(status: 401, action: .retryWithChallenge, record: nil)
    }

    private mutating func enrolAgain(after head: AnswerHead) async throws {
        guard configuration.role == .app else { throw BonafideError.appMustRun }
        do {
            try await enrolAgain()
        } catch is EnrolAgainUsedUp {
            throw courier.refusal(head)
        }
    }

    /// The renewal that was begun and not answered, or one that is begun, and stored, now; and whether its challenge was
    /// just given. Nil where an assertion is due and the key for it has gone.
    private mutating func pending(
        _ enrolled: Enrolment.Enrolled, _ withAssertion: Bool
    ) async throws -> (renewal: Enrolment.Renewal, challengeIsNew: Bool)? {
        if let renewal = enrolled.renewal { return (renewal, false) }
        let (challenge, isNew) = try await renewalChallenge(enrolled)
        guard let renewal = try await begin(enrolled, challenge, withAssertion) else { return nil }
        var begun = enrolled
        begun.renewal = renewal
        let stored = begun
        try keep { $0.enrolment = .enrolled(stored) }
        return (renewal, isNew)
    }

    /// One with a challenge from before, one with a new challenge, one with an assertion as well.
    private static let maxRenewals = 4

    private func renewalChallenge(_ enrolled: Enrolment.Enrolled) async throws -> (text: String, isNew: Bool) {
        // A renewal's challenge ends ten minutes after the client attestation that it follows.
        if !enrolled.nextChallenge.isEmpty, clock.now() < enrolled.expiresAt + 600 {
            return (enrolled.nextChallenge, false)
        }
        return (try await courier.challenge("renew").text, true)
    }

    /// Nil where an assertion is due and the key for it has gone.
    private func begin(
        _ enrolled: Enrolment.Enrolled, _ challenge: String, _ withAssertion: Bool
    ) async throws -> Enrolment.Renewal? {
        let clientData = ClientData.renewal(
            challenge: challenge, configuration: configuration, instance: enrolled.instance, jkt: ledger.keys.jkt)
        var evidence = Evidence.none
        if withAssertion, let key = enrolled.key {
            do {
                evidence = try await world.attestor.assert(key, clientDataHash: world.crypto.sha256(clientData))
            } catch AttestorFailure.invalidKey {
                return nil
            } catch let failure as AttestorFailure {
                throw BonafideError.attestationFailed(String(describing: failure))
            }
        }
        return .init(clientData: clientData, challenge: challenge, evidence: evidence)
    }

    /// What the device knows needs no hint of the service: enrols with another key. The day's budget bounds it.
    private mutating func keyIsGone() async throws {
        try keep { $0.enrolment = .none }
        try await enrol()
    }
}

extension Enrolment.Enrolled {
    /// The same with no renewal under way, and with this next challenge.
    fileprivate func withoutRenewal(nextChallenge: String) -> Self {
        Self(
            instance: instance, key: key, attestation: attestation, session: session, renewAt: renewAt,
            nextChallenge: nextChallenge, assertedFor: assertedFor)
    }
}
