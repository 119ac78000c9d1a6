/// Where enrolment stands. A key id stands in the states that have a key and in no other.
///
/// Whatever cannot be made again is stored before it is needed: the client data and the key id before `attestKey`,
/// the evidence before it is sent. A process that is killed anywhere goes on where it was, and calls `attestKey` once.
enum Enrolment: Hashable, Sendable {
    /// Nothing has been begun.
    case none
    /// An App Attest key was made; nothing is known of it elsewhere.
    case keyMade(key: String)
    /// `attestKey` was called, or is about to be, with exactly this.
    case attesting(Pending)
    /// The evidence is here. It was sent, or is about to be.
    case attested(Pending, Evidence)
    /// The service answered.
    case enrolled(Enrolled)

    /// What evidence is made over.
    struct Pending: Hashable, Sendable {
        /// The App Attest key; nil on a device that enrols without evidence.
        let key: String?
        let clientData: [UInt8]
        let challenge: String
        /// When the challenge ends: seconds since 1970.
        let ends: Double
        /// Whether `attestKey` was called for it, which counts in the day's budget once.
        var isCounted = false
    }

    /// What an enrolment or the last renewal brought.
    struct Enrolled: Hashable, Sendable {
        let instance: String
        /// The App Attest key; nil on a device that enrolled without evidence.
        let key: String?
        let attestation: String
        let session: Session
        /// When to renew: seconds since 1970. The attestation ends with its session.
        let renewAt: Double
        let nextChallenge: String
        /// The challenge for which evidence was last given: it tells one giving from the next. Empty where an earlier
        /// version of this wrote the record.
        let assertedFor: String
        /// A renewal that was begun and not answered: sent again as the same octets.
        var renewal: Renewal?

        var expiresAt: Double { Double(session.expiresAt) }
    }

    /// A renewal under way.
    struct Renewal: Hashable, Sendable {
        let clientData: [UInt8]
        let challenge: String
        let evidence: Evidence
    }
}
