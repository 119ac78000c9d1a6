import BonafideCore
import BonafideTestSupport

private let attestation = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJl"

/// A request as an app means it: the path as a URL has it, spelt canonically only here.
private struct Meant {
    var method = "GET"
    let path: String
    var query: String?
    var authorization: String?
    var cookie: String?
    var contentType: String?
    var body: [UInt8] = []
    var isAttested = true

    static let all = [
        Meant(path: ""), Meant(path: "/"), Meant(path: "/api/orders/"), Meant(path: "/api/a%20b%c3%a4%7E%2D"),
        Meant(path: "/api/!$&'()*+,=:@-._~"), Meant(path: "/api/%5B%5D%7c^%22", query: "a=b&c=%20;d[]=?/\\"),
        Meant(path: "/api/orders", query: ""), Meant(path: "/api/orders", query: "q=\"<>{}|^`"),
        Meant(
            method: "POST", path: "/api/orders", authorization: "Bearer abc", cookie: "a=1, 2; b=\"3\"",
            contentType: "application/json; charset=utf-8", body: Array(#"{"article":7}"#.utf8)),
        Meant(method: "DELETE", path: "/api/orders", cookie: "a=1"),
        Meant(method: "POST", path: "/bonafide/v1/instances", contentType: "application/json", isAttested: false),
    ]
}

/// Requests with their proofs, by each algorithm, and the octets that were signed.
func requests() throws -> JSON {
    let crypto = SoftwareCrypto()
    var written: [JSON] = []
    for meant in Meant.all {
        for algorithm in HTTPSignature.Algorithm.allCases {
            let head = try RequestHead(
                method: meant.method, scheme: "https", authority: "api.example.com",
                target: Target(percentEncodedPath: meant.path, query: meant.query),
                authorization: meant.authorization, cookie: meant.cookie, contentType: meant.contentType,
                contentDigest: ContentDigest(of: meant.body, crypto: crypto))
            let key = SoftwareSigningKey()
            let macKey = crypto.random(32)
            let keyID = algorithm == .hardware ? key.publicKey.thumbprint(crypto) : Base64.urlEncoded(crypto.random(16))
            let base = HTTPSignature.base(
                of: head, attestation: meant.isAttested ? attestation : nil,
                parameters: .init(
                    created: 1_793_534_400, nonce: Base64.urlEncoded(crypto.random(16)), keyID: keyID,
                    algorithm: algorithm))
            let signature =
                algorithm == .hardware
                ? try key.signature(of: base.octets) : crypto.hmacSHA256(key: macKey, base.octets)
            let fields: [(String, String?)] = [
                ("authorization", meant.authorization), ("cookie", meant.cookie), ("content-type", meant.contentType),
                ("oauth-client-attestation", meant.isAttested ? attestation : nil),
                ("content-digest", head.contentDigest.field), ("signature-input", base.signatureInput),
                ("signature", "bonafide=:\(Base64.encoded(signature)):"),
            ]
            written.append([
                "method": .string(meant.method), "target": .string(head.target.text), "body": .octets(meant.body),
                "headers": .object(fields.compactMap { name, value in value.map { .init(name, .string($0)) } }),
                "base": .octets(base.octets), "algorithm": .string(algorithm.rawValue), "key_id": .string(keyID),
                "public_key": .octets(key.publicKey.x963), "mac_key": .octets(macKey),
            ])
        }
    }
    return .array(written)
}

/// Client data of both kinds, with the values that it was made of.
func clientData() -> JSON {
    let crypto = SoftwareCrypto()
    let sign = SoftwareSigningKey().publicKey
    let agree = SoftwareAgreementKey().publicKey
    let challenge = Base64.urlEncoded(crypto.random(57))
    let instance = Base64.urlEncoded(crypto.random(16))
    let configuration = Configuration(
        service: "https://api.example.com/bonafide/v1", app: #"sh"o\p"#, serviceKeys: [],
        identity: "ABCDE12345.com.example.shop", versions: .init(app: "2.3.1", system: "18.5", sdk: "0.1.0"))
    let enrolment = ClientData.enrolment(challenge: challenge, configuration: configuration, sign: sign, agree: agree)
    let renewal = ClientData.renewal(
        challenge: challenge, configuration: configuration, instance: instance, jkt: sign.thumbprint(crypto))
    return [
        "app": .string(configuration.app), "challenge": .string(challenge), "instance": .string(instance),
        "jkt": .string(sign.thumbprint(crypto)), "agree_jkt": .string(agree.thumbprint(crypto)),
        "enrolment": .octets(ClientData.body(enrolment, evidence: .none)),
        "renewal": .octets(ClientData.body(renewal, evidence: .none)),
    ]
}
