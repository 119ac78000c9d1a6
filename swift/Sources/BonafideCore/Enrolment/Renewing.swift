extension Story {
    /// Renews the client attestation and the session. Throws `BonafideError` and `Ledger.Moved`.
    ///
    /// By the `sign` key alone; an assertion is made only where the service refuses that of a challenge it has just
    /// given. An extension cannot make one, and leaves that to the app.
    mutating func renew() async throws {
        var withAssertion = false
        for _ in 0..<Self.maxRenewals {
            guard case .enrolled(var enrolled) = ledger.record.enrolment else { return try await enrol() }
            var challengeIsNew = false
            if enrolled.renewal == nil {
                let challenge: String
                (challenge, challengeIsNew) = try await renewalChallenge(enrolled)
                guard let renewal = try await begin(enrolled, challenge, withAssertion) else {
                    return try await keyIsGone()
                }
                enrolled.renewal = renewal
                let begun = enrolled
                try keep { $0.enrolment = .enrolled(begun) }
            }
            guard let renewal = enrolled.renewal else { return }
            let answer = try await courier.post(
                "/instances/\(enrolled.instance)/renewals",
                ClientData.body(renewal.clientData, evidence: renewal.evidence))
            if answer.head.status == 200 {
                return try adopt(answer, challenge: renewal.challenge, key: enrolled.key)
            }
            // A refusal is final for this pair; what the network ate is sent again as it was.
            enrolled.renewal = nil
            let refused = enrolled
            let usedUp = challengeIsNew ? "" : refused.nextChallenge
            try keep { $0.enrolment = .enrolled(refused.without(challenge: usedUp)) }
            switch answer.head.action {
            case .retryWithChallenge:
                if challengeIsNew, withAssertion || enrolled.key == nil { throw courier.refusal(answer.head) }
                if challengeIsNew, configuration.role == .appExtension { throw BonafideError.appMustRun }
                withAssertion = challengeIsNew
            case .enrolAgain:
                guard configuration.role == .app else { throw BonafideError.appMustRun }
                do {
                    return try await enrolAgain()
                } catch is EnrolAgainUsedUp {
                    throw courier.refusal(answer.head)
                }
            default: throw courier.refusal(answer.head)
            }
        }
        throw BonafideError.refused(status: 401, action: .retryWithChallenge, record: nil)
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
    /// The same, without its next challenge if that is `challenge`.
    fileprivate func without(challenge: String) -> Self {
        guard challenge == nextChallenge else { return self }
        var copy = Self(
            instance: instance, key: key, attestation: attestation, session: session, renewAt: renewAt,
            nextChallenge: "")
        copy.renewal = renewal
        return copy
    }
}
