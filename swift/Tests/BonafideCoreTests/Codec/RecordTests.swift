import BonafideTestSupport
import Testing

@testable import BonafideCore

/// What is stored is found again, and what nobody wrote is not taken for a record.
@Suite struct RecordTests {
    private static let session = Session(
        id: Array(repeating: 1, count: 16), key: Array(201...232), issuedAt: 1_764_000_000, expiresAt: 1_764_000_300)
    private static let pending = Enrolment.Pending(
        key: "a+/=", clientData: [0, 255, 7], challenge: "ch", ends: 1_764_086_400.25, isCounted: true)
    private static let bare = Enrolment.Pending(key: nil, clientData: [], challenge: "c", ends: 0)
    private static let evidence = Evidence.appAttest(key: "a+/=", object: [1, 2, 3])

    private static var enrolled: Enrolment.Enrolled {
        .init(
            instance: "i-1", key: "a+/=", attestation: "a.b.c", session: session, renewAt: 1_764_000_240.5,
            nextChallenge: "next", assertedFor: "then")
    }

    private static var renewing: Enrolment.Enrolled {
        var renewing = enrolled
        renewing.renewal = .init(clientData: [9], challenge: "now", evidence: .appAttestAssertion([4]))
        return renewing
    }

    static let enrolments: [Enrolment] = [
        .none, .keyMade(key: "k"), .attesting(pending), .attesting(bare), .attested(pending, evidence),
        .attested(bare, .none), .enrolled(enrolled), .enrolled(renewing),
    ]

    @Test(arguments: enrolments) func everyStateIsFoundAgain(_ enrolment: Enrolment) throws {
        var record = Record(signingKey: [1, 2], agreementKey: [3])
        record.enrolment = enrolment
        #expect(Record(record.octets) == record)
        record.installation = "install \"1\""
        record.attestations = [1_764_000_000.125, 0]
        record.notBefore = 1_764_000_015.7
        record.throttlings = 3
        record.enrolledAgainAt = 0.1
        record.clockShift = -299.999
        record.lease = .init(holder: "me", run: nil, until: 1_764_000_060)
        #expect(Record(record.octets) == record)
        record.lease = .init(holder: "me", run: "run", until: 1)
        #expect(Record(record.octets) == record)
    }

    @Test(arguments: ["version", "sign", "agree", "enrolment", "attestations", "throttlings"])
    func aRecordWithoutAPartIsNone(_ part: String) throws {
        let record = Record(signingKey: [1, 2], agreementKey: [3])
        guard case .object(let members) = JSON(octets: record.octets) else {
            Issue.record("no object")
            return
        }
        #expect(Record(JSON.object(members.filter { $0.name != part }).octets) == nil)
        let replaced = members.map { $0.name == part ? JSON.Member(part, "?") : $0 }
        #expect(Record(JSON.object(replaced).octets) == nil)
    }

    @Test func aStateThatLacksWhatItHoldsIsNone() throws {
        for enrolment in Self.enrolments {
            var record = Record(signingKey: [1, 2], agreementKey: [3])
            record.enrolment = enrolment
            guard case .object(let members) = JSON(octets: record.octets),
                case .object(let parts) = JSON(octets: record.octets)?["enrolment"]
            else {
                Issue.record("no object")
                return
            }
            for part in parts {
                let rest = JSON.object(parts.filter { $0.name != part.name })
                let replaced = members.map { $0.name == "enrolment" ? JSON.Member("enrolment", rest) : $0 }
                #expect(Record(JSON.object(replaced).octets) == nil, "\(enrolment) without \(part.name)")
            }
        }
    }

    @Test func nothingWithAKeySaysIt() throws {
        let keys = SoftwareDeviceKeys()
        let sign = try keys.makeSigningKey()
        let ledgerKeys = Ledger.Keys(sign: sign, agree: try keys.makeAgreementKey(), jkt: "jkt")
        let crypto = SoftwareCrypto()
        let signer = SessionSigner(Self.session, crypto: crypto)
        let credentials = Credentials(Self.enrolled, keys: ledgerKeys, crypto: crypto)
        var record = Record(signingKey: sign.representation, agreementKey: Array(201...232))
        record.enrolment = .enrolled(Self.enrolled)
        let secrets = [Self.session.key, signer.macKey, sign.representation].map { "\($0)".dropFirst().dropLast() }
        for value in [Self.session, signer, credentials, record, record.enrolment, ledgerKeys] as [Any] {
            var dumped = ""
            dump(value, to: &dumped)
            for text in [String(describing: value), String(reflecting: value), "\(value)", dumped] {
                for secret in secrets { #expect(!text.contains(secret)) }
                #expect(!text.contains("201"))
            }
        }
        #expect("\(Self.session)" == "Session(redacted)")
    }

    @Test func aRequestSaysNothingOfItsUser() throws {
        let head = try RequestHead(
            method: "GET", scheme: "https", authority: "a.example",
            target: #require(Target(canonical: "/p?token=s3cret")),
            authorization: "Bearer s3cret", cookie: "session=s3cret",
            contentDigest: ContentDigest(of: [], crypto: SoftwareCrypto()))
        var dumped = ""
        dump(head, to: &dumped)
        for text in ["\(head)", String(reflecting: head), dumped] {
            #expect(!text.contains("s3cret"))
            #expect(text.contains("GET https://a.example/p"))
        }
    }
}
