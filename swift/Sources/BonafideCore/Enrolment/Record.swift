/// All that is kept on the device, as one record: so that two processes which share it can swap it whole.
struct Record: Hashable, Sendable {
    /// The stored forms of the device's two keys.
    var signingKey: [UInt8]
    var agreementKey: [UInt8]
    /// The install of the app that wrote this.
    var installation: String?
    var enrolment: Enrolment = .none
    /// When keys were attested, within the last day: seconds since 1970.
    var attestations: [Double] = []
    /// Before this time Apple is not asked again, and how often it asked for that.
    var notBefore: Double?
    var throttlings = 0
    /// When this install last enrolled anew because an answer said so.
    var enrolledAgainAt: Double?
    /// By how much the service's time differs from the device's, as the last session said.
    var clockShift: Double = 0
    /// The process that talks to the service now.
    var lease: Lease?

    /// A right to talk to the service that ends by itself, should its holder be killed.
    struct Lease: Hashable, Sendable {
        let holder: String
        /// The run of the app that took it, where there is one at a time.
        let run: String?
        let until: Double
    }
}

extension Record {
    private static let version = 1

    var octets: [UInt8] {
        var members: [JSON.Member] = [
            .init("version", .integer(Self.version)), .init("sign", Self.base64(signingKey)),
            .init("agree", Self.base64(agreementKey)), .init("enrolment", enrolment.json),
            .init("attestations", .array(attestations.map(JSON.number))), .init("throttlings", .integer(throttlings)),
            .init("clock_shift", .number(clockShift)),
        ]
        if let installation { members.append(.init("installation", .string(installation))) }
        if let notBefore { members.append(.init("not_before", .number(notBefore))) }
        if let enrolledAgainAt { members.append(.init("enrolled_again_at", .number(enrolledAgainAt))) }
        if let lease {
            let run = lease.run.map(JSON.string) ?? .null
            members.append(
                .init("lease", ["holder": .string(lease.holder), "run": run, "until": .number(lease.until)]))
        }
        return JSON.object(members).octets
    }

    /// Nil for octets that no version of this wrote.
    init?(_ octets: [UInt8]) {
        guard let json = JSONReader.object(octets, maxOctets: 1 << 20), json["version"] == .integer(Self.version),
            let signingKey = Self.octets(json["sign"]), let agreementKey = Self.octets(json["agree"]),
            let enrolment = json["enrolment"].flatMap(Enrolment.init), let throttlings = json["throttlings"]?.integer,
            let attestations = json["attestations"]?.elements
        else { return nil }
        self.signingKey = signingKey
        self.agreementKey = agreementKey
        self.enrolment = enrolment
        self.throttlings = throttlings
        self.attestations = attestations.compactMap(\.double)
        installation = json["installation"]?.text
        notBefore = json["not_before"]?.double
        enrolledAgainAt = json["enrolled_again_at"]?.double
        clockShift = json["clock_shift"]?.double ?? 0
        if let holder = json["lease"]?["holder"]?.text, let until = json["lease"]?["until"]?.double {
            lease = Lease(holder: holder, run: json["lease"]?["run"]?.text, until: until)
        }
    }

    fileprivate static func base64(_ octets: [UInt8]) -> JSON { .string(Base64.urlEncoded(octets)) }

    fileprivate static func octets(_ json: JSON?) -> [UInt8]? { json?.text.flatMap { Base64.urlDecoded($0) } }
}

extension Enrolment {
    fileprivate var json: JSON {
        switch self {
        case .none: ["state": "none"]
        case .keyMade(let key): ["state": "key_made", "key": .string(key)]
        case .attesting(let pending): ["state": "attesting", "pending": pending.json]
        case .attested(let pending, let evidence):
            ["state": "attested", "pending": pending.json, "evidence": evidence.json ?? .null]
        case .enrolled(let enrolled): ["state": "enrolled", "enrolled": enrolled.json]
        }
    }

    fileprivate init?(_ json: JSON) {
        switch json["state"] {
        case "none": self = .none
        case "key_made":
            guard let key = json["key"]?.text else { return nil }
            self = .keyMade(key: key)
        case "attesting":
            guard let pending = json["pending"].flatMap(Pending.init) else { return nil }
            self = .attesting(pending)
        case "attested":
            guard let pending = json["pending"].flatMap(Pending.init), let evidence = json["evidence"] else {
                return nil
            }
            self = .attested(pending, Evidence(stored: evidence))
        case "enrolled":
            guard let enrolled = json["enrolled"].flatMap(Enrolled.init) else { return nil }
            self = .enrolled(enrolled)
        default: return nil
        }
    }
}

extension Evidence {
    fileprivate init(stored: JSON) { self.init(json: stored == .null ? nil : stored) }
}

extension Enrolment.Pending {
    fileprivate var json: JSON {
        [
            "key": key.map(JSON.string) ?? .null, "client_data": Record.base64(clientData),
            "challenge": .string(challenge), "ends": .number(ends), "counted": .bool(isCounted),
        ]
    }

    fileprivate init?(_ json: JSON) {
        guard let clientData = Record.octets(json["client_data"]), let challenge = json["challenge"]?.text else {
            return nil
        }
        key = json["key"]?.text
        self.clientData = clientData
        self.challenge = challenge
        ends = json["ends"]?.double ?? 0  // written while the device's clock told no time
        isCounted = json["counted"] == .bool(true)
    }
}

extension Enrolment.Renewal {
    fileprivate var json: JSON {
        [
            "client_data": Record.base64(clientData), "challenge": .string(challenge),
            "evidence": evidence.json ?? .null,
        ]
    }

    fileprivate init?(_ json: JSON) {
        guard let clientData = Record.octets(json["client_data"]), let challenge = json["challenge"]?.text,
            let evidence = json["evidence"]
        else { return nil }
        self.clientData = clientData
        self.challenge = challenge
        self.evidence = Evidence(stored: evidence)
    }
}

extension Enrolment.Enrolled {
    fileprivate var json: JSON {
        [
            "instance": .string(instance), "key": key.map(JSON.string) ?? .null, "attestation": .string(attestation),
            "sid": Record.base64(session.id), "session_key": Record.base64(session.key),
            "issued_at": .integer(session.issuedAt), "expires_at": .integer(session.expiresAt),
            "renew_at": .number(renewAt), "next_challenge": .string(nextChallenge),
            "asserted_for": .string(assertedFor), "renewal": renewal.map(\.json) ?? .null,
        ]
    }

    fileprivate init?(_ json: JSON) {
        guard let instance = json["instance"]?.text, let attestation = json["attestation"]?.text,
            let id = Record.octets(json["sid"]), let sessionKey = Record.octets(json["session_key"]),
            let issuedAt = json["issued_at"]?.integer, let expiresAt = json["expires_at"]?.integer,
            let renewAt = json["renew_at"]?.double, let nextChallenge = json["next_challenge"]?.text
        else { return nil }
        self.instance = instance
        key = json["key"]?.text
        self.attestation = attestation
        session = Session(id: id, key: sessionKey, issuedAt: issuedAt, expiresAt: expiresAt)
        self.renewAt = renewAt
        self.nextChallenge = nextChallenge
        assertedFor = json["asserted_for"]?.text ?? ""
        renewal = json["renewal"].flatMap(Enrolment.Renewal.init)
    }
}
