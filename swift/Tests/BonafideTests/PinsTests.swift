import CryptoKit
import Foundation
import Security
import Testing

@testable import Bonafide
@testable import BonafideCore

@Suite struct PinsTests {
    private let crypto = PlatformCrypto()
    private let one = Data(repeating: 1, count: 32)
    private let spare = Data(repeating: 2, count: 32)

    private func document(_ claims: JSON, key: any SigningKey, type: String = "bonafide-pins+jwt") throws -> String {
        let header: JSON = ["alg": "ES256", "typ": .string(type), "jwk": key.publicKey.jwk]
        let input = "\(Base64.urlEncoded(header.octets)).\(Base64.urlEncoded(claims.octets))"
        return "\(input).\(Base64.urlEncoded(try key.signature(of: Array(input.utf8))))"
    }

    private func claims(
        app: JSON = "shop", version: JSON = 3, exp: JSON = 2_000_000_000, hosts: JSON? = nil
    ) -> JSON {
        let pins: JSON = .array([one, spare].map { .string($0.base64EncodedString()) })
        return ["app": app, "version": version, "exp": exp, "pins": hosts ?? ["api.example.com": pins]]
    }

    private func read(_ claims: JSON, type: String = "bonafide-pins+jwt") throws -> Pins {
        let key = try EnclaveKeys().makeSigningKey()
        return try Pins(
            document: try document(claims, key: key, type: type), app: "shop",
            serviceKeys: [key.publicKey.thumbprint(crypto)], crypto: crypto)
    }

    @Test func aDocumentByAServiceKeyIsTaken() throws {
        let pins = try read(claims())
        #expect(pins.version == 3)
        #expect(pins.digests == ["api.example.com": [one, spare]])
    }

    @Test func otherSignersAndTypesAreRefused() throws {
        let key = try EnclaveKeys().makeSigningKey()
        #expect(throws: BonafideError.answerRefused("pins.signature_refused")) {
            try Pins(
                document: try document(claims(), key: key), app: "shop", serviceKeys: ["other"], crypto: crypto)
        }
        #expect(throws: BonafideError.answerRefused("pins.signature_refused")) {
            try read(claims(), type: "bonafide-session+jwt")
        }
        #expect(throws: BonafideError.answerRefused("pins.signature_refused")) {
            let spoilt = try document(claims(), key: key).dropLast(4) + "AAAA"
            return try Pins(
                document: String(spoilt), app: "shop", serviceKeys: [key.publicKey.thumbprint(crypto)],
                crypto: crypto)
        }
    }

    @Test func anotherAppsDocumentIsRefused() {
        #expect(throws: BonafideError.answerRefused("pins.app_mismatch")) { try read(claims(app: "other")) }
    }

    @Test func theFormIsExact() {
        let text: JSON = .string(one.base64EncodedString())
        let other: JSON = .string(spare.base64EncodedString())
        let malformed: [JSON] = [
            claims(version: -1), claims(version: "3"), claims(exp: "never"), claims(hosts: []),
            claims(hosts: ["api.example.com": .array([text])]),
            claims(hosts: ["api.example.com": .array([text, text])]),
            claims(hosts: ["API.example.com": .array([text, other])]), claims(hosts: ["": .array([text, other])]),
            claims(hosts: ["a.test": .array([text, "AAAA"])]), claims(hosts: ["a.test": .array([text, 1])]),
            ["app": "shop", "version": 3, "exp": 1],
            ["app": "shop", "version": 3, "exp": 1, "pins": [:], "more": 1],
        ]
        for claims in malformed {
            #expect(throws: BonafideError.answerRefused("pins.malformed")) { try read(claims) }
        }
    }

    @Test func aPinnedHostShowsAPinnedKey() throws {
        let pins = try read(claims())
        let other = Data(repeating: 3, count: 32)
        #expect(pins.admits([one], of: "api.example.com", at: 1))
        #expect(pins.admits([other, spare], of: "API.example.com", at: 1))
        #expect(!pins.admits([other], of: "api.example.com", at: 1))
        #expect(!pins.admits([], of: "api.example.com", at: 1))
        #expect(pins.admits([other], of: "other.example.com", at: 1))
    }

    @Test func anExpiredDocumentPinsNothing() throws {
        let pins = try read(claims(exp: 100))
        #expect(!pins.admits([], of: "api.example.com", at: 99.9))
        #expect(pins.admits([], of: "api.example.com", at: 100))
    }

    @Test func aLowerVersionThanSeenIsRefused() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: directory) }
        for version in [3, 3, 5] {
            try PinBoard.admitVersion(of: try read(claims(version: .integer(version))), seenIn: directory)
        }
        #expect(throws: BonafideError.answerRefused("pins.version_rolled_back")) {
            try PinBoard.admitVersion(of: try read(claims(version: 4)), seenIn: directory)
        }
        try PinBoard.admitVersion(of: try read(claims(version: 5)), seenIn: directory)
    }

    @Test func theChainIsJudgedBySystemAndPins() throws {
        let key = try EnclaveKeys().makeSigningKey().publicKey
        let type = kSecAttrKeyTypeECSECPrimeRandom as String
        let leaf = SecCertificate(key: SecKey(external: Data(key.x963), type: type, bits: 256))
        let digest = Data(SHA256.hash(data: KeyKind.p256.subjectPublicKeyInfo(key.x963)))
        let hosts: JSON = [
            "api.example.com": .array([.string(digest.base64EncodedString()), .string(spare.base64EncodedString())])
        ]
        let board = PinBoard(try read(claims(hosts: hosts)), clock: SystemClock())
        #expect(board.admits(SecTrust(chain: [leaf], isTrusted: true), of: "api.example.com"))
        #expect(!board.admits(SecTrust(chain: [leaf], isTrusted: false), of: "api.example.com"))
        #expect(!board.admits(SecTrust(chain: [], isTrusted: true), of: "api.example.com"))
        let other = SecCertificate(key: SecKey(external: Data(key.x963), type: type, bits: 521))
        #expect(!board.admits(SecTrust(chain: [other], isTrusted: true), of: "api.example.com"))
        #expect(board.admits(SecTrust(chain: [], isTrusted: false), of: "other.example.com"))
    }

    /// The beginnings that OpenSSL writes for these kinds of key.
    @Test(arguments: [
        (KeyKind.rsa, 270, "30820122300d06092a864886f70d01010105000382010f00"),
        (.rsa, 398, "308201a2300d06092a864886f70d01010105000382018f00"),
        (.rsa, 526, "30820222300d06092a864886f70d01010105000382020f00"),
        (.p256, 65, "3059301306072a8648ce3d020106082a8648ce3d030107034200"),
        (.p384, 97, "3076301006072a8648ce3d020106052b81040022036200"),
    ])
    func subjectPublicKeyInfo(kind: KeyKind, count: Int, beginning: String) {
        let key = [UInt8](repeating: 9, count: count)
        let info = kind.subjectPublicKeyInfo(key)
        let expected = stride(from: 0, to: beginning.count, by: 2).compactMap {
            UInt8(beginning.dropFirst($0).prefix(2), radix: 16)
        }
        #expect(info == expected + key)
    }
}
