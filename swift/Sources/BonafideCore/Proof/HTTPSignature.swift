/// The one profile of HTTP Message Signatures that is spoken (RFC 9421; PROTOCOL section 4).
package enum HTTPSignature {
    static let nonceOctets = 16

    /// What stands after the component list. `nonce` 22 to 64 base64url characters, never used before.
    package struct Parameters {
        let created: Int
        let nonce: String
        let keyID: String
        let algorithm: Algorithm

        package init(created: Int, nonce: String, keyID: String, algorithm: Algorithm) {
            self.created = created
            self.nonce = nonce
            self.keyID = keyID
            self.algorithm = algorithm
        }
    }

    package enum Algorithm: String, CaseIterable {
        case hardware = "ecdsa-p256-sha256"
        case session = "hmac-sha256"
    }

    /// The octets to sign, and the value of Signature-Input that says so.
    package struct Base {
        package let octets: [UInt8]
        package let signatureInput: String
    }

    /// Returns the signature base (RFC 9421 section 2.5) of a request. `attestation` is the client attestation, or
    /// nil on enrolment and renewal, where none is covered.
    package static func base(of request: RequestHead, attestation: String?, parameters: Parameters) -> Base {
        var names = #"("@method" "@scheme" "@authority" "@path" "@query""#
        var octets: [UInt8] = []
        octets.reserveCapacity(1024 + (attestation?.utf8.count ?? 0))
        func line(_ name: StaticString, _ value: String) {
            octets.append(UInt8(ascii: "\""))
            name.withUTF8Buffer { octets.append(contentsOf: $0) }
            octets.append(contentsOf: "\": ".utf8)
            octets.append(contentsOf: value.utf8)
            octets.append(UInt8(ascii: "\n"))
        }
        func field(_ name: StaticString, _ value: String?) {
            guard let value else { return }
            line(name, value)
            names += " \"\(name)\""
        }
        line("@method", request.method)
        line("@scheme", request.scheme)
        line("@authority", request.authority)
        line("@path", request.target.path)
        line("@query", request.target.queryComponent)
        field("oauth-client-attestation", attestation)
        field("authorization", request.authorization)
        field("cookie", request.cookie)
        field("content-type", request.contentType)
        field("content-digest", request.contentDigest.field)
        let input =
            names + ");created=\(parameters.created);nonce=\"\(parameters.nonce)\";keyid=\"\(parameters.keyID)\""
            + ";alg=\"\(parameters.algorithm.rawValue)\";tag=\"bonafide\""
        octets.append(contentsOf: "\"@signature-params\": ".utf8)
        octets.append(contentsOf: input.utf8)
        return Base(octets: octets, signatureInput: "bonafide=" + input)
    }
}

/// The fields that a proof adds to a request, in place of any of that name.
public struct ProofFields: Sendable {
    /// OAuth-Client-Attestation; nil on enrolment and renewal.
    public let clientAttestation: String?
    public let contentDigest: String
    public let signatureInput: String
    public let signature: String
    /// What an answer to this very request is for; nil on enrolment and renewal.
    let question: Question?

    /// Field names as they are usually written, and values.
    public var all: [(name: String, value: String)] {
        let attestation = clientAttestation.map { [(name: "OAuth-Client-Attestation", value: $0)] } ?? []
        return attestation + [
            (name: "Content-Digest", value: contentDigest), (name: "Signature-Input", value: signatureInput),
            (name: "Signature", value: signature),
        ]
    }

    init(
        base: HTTPSignature.Base, signature: [UInt8], request: RequestHead, attestation: String?,
        session: Session? = nil
    ) {
        question = session.map { Question(session: $0, base: base.octets) }
        clientAttestation = attestation
        contentDigest = request.contentDigest.field
        signatureInput = base.signatureInput
        self.signature = "bonafide=:\(Base64.encoded(signature)):"
    }
}
