import BonafideTestSupport
import Foundation
import Testing

@testable import BonafideCore

/// Project Wycheproof's cases, where the shared vectors lie beside the checkout or where `BONAFIDE_SHARED` says.
@Suite(.enabled(if: Wycheproof.isThere, "there is no directory `shared` beside this checkout"))
struct SupportWycheproofTests {
    private let crypto = SoftwareCrypto()

    @Test func everySignatureGetsItsVerdict() throws {
        var judged = 0
        for (group, test) in try Wycheproof.tests("ecdsa_secp256r1_sha256_p1363") {
            let point = group["publicKey"]?["uncompressed"]?.text ?? ""
            let key = try #require(PublicKey(x963: fromHex(point)))
            let isValid = crypto.isValid(signature: octets(test, "sig"), of: octets(test, "msg"), by: key)
            #expect(isValid == (test["result"] == "valid"), "\(test)")
            judged += 1
        }
        #expect(judged == 262)
    }

    @Test(arguments: [(128, 67), (256, 66)])
    func everySealedTextInOurFormGetsItsVerdict(keySize: Int, count: Int) throws {
        var judged = 0
        for (group, test) in try Wycheproof.tests("aes_gcm")
        where group["keySize"]?.integer == keySize && group["ivSize"] == 96 && group["tagSize"] == 128 {
            let opened = try? crypto.openAESGCM(
                key: octets(test, "key"), nonce: octets(test, "iv"), ciphertext: octets(test, "ct"),
                tag: octets(test, "tag"), additionalData: octets(test, "aad"))
            #expect(opened == (test["result"] == "valid" ? octets(test, "msg") : nil), "\(test)")
            judged += 1
        }
        #expect(judged == count)
    }

    @Test func everyUncompressedPointIsAgreedOnOrRefused() throws {
        var judged = 0
        for (_, test) in try Wycheproof.tests("ecdh_secp256r1_ecpoint") {
            guard let point = PublicKey(x963: octets(test, "public")) else { continue }
            let digits = test["private"]?.text ?? ""
            let scalar = fromHex(String(repeating: "0", count: max(0, 64 - digits.count)) + digits.suffix(64))
            let key = try #require(SoftwareAgreementKey(scalar: scalar))
            let secret = try? key.sharedSecret(with: point)
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

    private func octets(_ test: JSON, _ name: String) -> [UInt8] { fromHex(test[name]?.text ?? "") }
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
