/// Client data (PROTOCOL section 2): the octets that evidence is made over, which are sent as they were hashed.
///
/// They begin with `{`, where signature bases begin with `"` and JWS inputs with `ey`: nothing that a key signed in
/// one role reads as a message in another.
package enum ClientData {
    /// The client data of an enrolment.
    package static func enrolment(
        challenge: String, configuration: Configuration, sign: PublicKey, agree: PublicKey
    ) -> [UInt8] {
        let members: JSON = [
            "type": "enrol", "challenge": .string(challenge), "app": .string(configuration.app),
            "identity": .string(configuration.identity), "sign_jwk": sign.jwk, "agree_jwk": agree.jwk,
            "app_version": .string(configuration.versions.app), "os_version": .string(configuration.versions.system),
            "sdk_version": .string(configuration.versions.sdk),
        ]
        return members.octets
    }

    /// The client data of a renewal.
    package static func renewal(challenge: String, configuration: Configuration, instance: String, jkt: String)
        -> [UInt8]
    {
        let members: JSON = [
            "type": "renew", "challenge": .string(challenge), "app": .string(configuration.app),
            "instance": .string(instance), "jkt": .string(jkt), "app_version": .string(configuration.versions.app),
            "os_version": .string(configuration.versions.system), "sdk_version": .string(configuration.versions.sdk),
        ]
        return members.octets
    }

    /// Whether client data names the versions that run now.
    static func isCurrent(_ clientData: [UInt8], _ versions: Configuration.Versions) -> Bool {
        let members = JSONReader.object(clientData)
        return members?["app_version"] == .string(versions.app) && members?["os_version"] == .string(versions.system)
            && members?["sdk_version"] == .string(versions.sdk)
    }

    /// The body of an enrolment or a renewal.
    package static func body(_ clientData: [UInt8], evidence: Evidence) -> [UInt8] {
        let members: JSON = [
            "client_data": .string(Base64.urlEncoded(clientData)),
            "evidence": .array(evidence.json.map { [$0] } ?? []),
        ]
        return members.octets
    }
}
