import BonafideTestSupport
import CryptoKit
import Foundation
import Testing

@testable import Bonafide
@testable import BonafideCore

/// Project Wycheproof's cases for each primitive that the SDK calls, by the code that calls CryptoKit. On Linux that is the
/// stand-in over libcrypto: what is shown is how it is called, and what is refused before it is.
@Suite(.enabled(if: Wycheproof.isThere, "there is no directory `shared` beside this checkout"))
struct PlatformWycheproofTests {
    private let crypto = PlatformCrypto()

    @Test(arguments: [(128, 67), (192, 64), (256, 66)])
    func everySealedTextGetsItsVerdict(keySize: Int, count: Int) throws {
        var judged = 0
        for (group, test) in try Wycheproof.tests("aes_gcm")
        where group["keySize"]?.integer == keySize && group["ivSize"] == 96 && group["tagSize"] == 128 {
            let opened = try? crypto.openAESGCM(
                key: octets(test, "key"), nonce: octets(test, "iv"), ciphertext: octets(test, "ct"),
                tag: octets(test, "tag"), additionalData: octets(test, "aad"))
            // Keys of the middle size are nobody's here.
            let isValid = test["result"] == "valid" && keySize != 192
            #expect(opened == (isValid ? octets(test, "msg") : nil), "\(test)")
            judged += 1
        }
        #expect(judged == count)
    }

    @Test func everySignatureGetsItsVerdict() throws {
        var judged = 0
        for (group, test) in try Wycheproof.tests("ecdsa_secp256r1_sha256_p1363") {
            let key = try #require(PublicKey(x963: octets(group["publicKey"], "uncompressed")))
            let isValid = crypto.isValid(signature: octets(test, "sig"), of: octets(test, "msg"), by: key)
            #expect(isValid == (test["result"] == "valid"), "\(test)")
            judged += 1
        }
        #expect(judged == 262)
    }

    @Test func everyUncompressedPointIsAgreedOnOrRefused() throws {
        var judged = 0
        for (_, test) in try Wycheproof.tests("ecdh_secp256r1_ecpoint") {
            guard let point = PublicKey(x963: octets(test, "public")) else { continue }
            let digits = test["private"]?.text ?? ""
            let scalar = [UInt8](hex: String(repeating: "0", count: max(0, 64 - digits.count)) + digits.suffix(64))
            let own = try #require(SoftwareAgreementKey(scalar: scalar)).publicKey
            let secret = try StandInEnclave.$current.withValue(StandInEnclave()) {
                let key = try EnclaveKeys().agreementKey(StandInEnclave.current.wrapped(own.x963, scalar: scalar))
                return try? key.sharedSecret(with: point)
            }
            #expect(secret == (test["result"] == "valid" ? octets(test, "shared") : nil), "\(test)")
            judged += 1
        }
        #expect(judged == 346)
    }

    @Test func everyTagGetsItsVerdict() throws {
        var judged = 0
        for (group, test) in try Wycheproof.tests("hmac_sha256") where group["tagSize"] == 256 {
            let tag = crypto.hmacSHA256(key: octets(test, "key"), octets(test, "msg"))
            #expect((tag == octets(test, "tag")) == (test["result"] == "valid"), "\(test)")
            judged += 1
        }
        #expect(judged == 87)
    }

    @Test func everyKeyOfOneBlockIsDerived() throws {
        var judged = 0
        for (_, test) in try Wycheproof.tests("hkdf_sha256") where test["size"] == 32 {
            let derived = KeyDerivation.hkdf(
                octets(test, "ikm"), salt: octets(test, "salt"), info: octets(test, "info"), crypto: crypto)
            #expect(derived == octets(test, "okm"), "\(test)")
            judged += 1
        }
        #expect(judged == 12)
    }

    private func octets(_ test: JSON?, _ name: String) -> [UInt8] { [UInt8](hex: test?[name]?.text ?? "") }
}

extension [UInt8] {
    fileprivate init(hex text: String) {
        let digits = Array<Character>(text)
        self = stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    }
}

private enum Wycheproof {
    private static let directory: URL = {
        let named = ProcessInfo.processInfo.environment["BONAFIDE_SHARED"].map { URL(fileURLWithPath: $0) }
        let root = (0..<4).reduce(URL(fileURLWithPath: #filePath)) { path, _ in path.deletingLastPathComponent() }
        let beside = root.deletingLastPathComponent().appendingPathComponent("shared")
        return (named ?? beside).appendingPathComponent("vectors/wycheproof")
    }()

    static var isThere: Bool { FileManager.default.fileExists(atPath: directory.path) }

    /// Each test of a file, and the group that it is in.
    static func tests(_ name: String) throws -> [(group: JSON, test: JSON)] {
        let file = try Data(contentsOf: directory.appendingPathComponent("\(name).json"))
        let document = try #require(JSONReader.object(file, maxOctets: 1 << 20))
        return (document["testGroups"]?.elements ?? []).flatMap { group in
            (group["tests"]?.elements ?? []).map { (group, $0) }
        }
    }
}
