/// The record in storage, as one process sees it between two swaps.
///
/// Rules of this file: every change is stored before anything relies on it, by swapping out exactly what was read;
/// storage that cannot be read now is never taken for empty storage.
struct Ledger {
    /// Another process swapped the record in between: what this one knew is stale.
    struct Moved: Error {}

    private(set) var record: Record
    let keys: Keys
    private let storage: any SecureStorage
    private var stored: [UInt8]?

    /// The device's two keys, ready for use.
    struct Keys: Sendable {
        let sign: any SigningKey
        let agree: any AgreementKey
        /// The thumbprint of `sign`.
        let jkt: String
    }

    /// Reads the record, and makes what a fresh install needs.
    ///
    /// After a reinstall the Keychain's record is there and the App Attest key in it is not: the device's own keys
    /// stay, so that the service knows the instance again, and enrolment begins anew. In an extension, which cannot
    /// tell, nothing is begun. Throws `BonafideError`, and `Moved` where another process was quicker.
    static func open(_ world: World, role: Configuration.Role) throws -> Ledger {
        let stored = try mapped { try world.storage.load() }
        let installation = try mapped { try world.installation?.identifier() }
        if let record = stored.flatMap(Record.init) {
            let isFresh = installation != nil && record.installation != installation
            if let keys = try restored(record, world, isFresh: isFresh) {
                var ledger = Ledger(record: record, keys: keys, storage: world.storage, stored: stored)
                if isFresh {
                    try ledger.change { record in
                        record.installation = installation
                        record.enrolment = .none
                        record.lease = nil
                    }
                }
                return ledger
            }
        }
        guard role == .app else { throw BonafideError.appMustRun }
        var (record, keys) = try made(world, installation)
        // They are the app's, not the lost keys'.
        if let before = stored.flatMap(Record.init) { record.documents = before.documents }
        var ledger = Ledger(record: record, keys: keys, storage: world.storage, stored: stored)
        try ledger.store(record)
        return ledger
    }

    /// Changes the record and stores it: where that fails, nothing has changed. Throws `Moved`, and `BonafideError`.
    mutating func change(_ body: (inout Record) -> Void) throws {
        var changed = record
        body(&changed)
        try store(changed)
        record = changed
    }

    private mutating func store(_ record: Record) throws {
        let octets = record.octets
        guard octets != stored else { return }
        let expected = stored
        guard try Ledger.mapped({ try storage.replace(expected, with: octets) }) else { throw Moved() }
        stored = octets
    }

    private static func restored(_ record: Record, _ world: World, isFresh: Bool) throws -> Keys? {
        do {
            let keys = try keys(
                world.keys.signingKey(record.signingKey), world.keys.agreementKey(record.agreementKey), world.crypto)
            // A backup brings the record back to the device that made it, also after its enclave was erased: the stored
            // form may then be read, and sign nothing ever again. No message is empty, so this signs none.
            if isFresh { _ = try keys.sign.signature(of: []) }
            return keys
        } catch KeyFailure.lost {
            return nil  // another device's, or an enclave that was erased: what they signed for is gone with them
        } catch is KeyFailure {
            throw BonafideError.keyUnavailable
        }
    }

    private static func made(_ world: World, _ installation: String?) throws -> (Record, Keys) {
        do {
            let sign = try world.keys.makeSigningKey()
            let agree = try world.keys.makeAgreementKey()
            var record = Record(signingKey: sign.representation, agreementKey: agree.representation)
            record.installation = installation
            return (record, keys(sign, agree, world.crypto))
        } catch is KeyFailure {
            throw BonafideError.keyUnavailable
        }
    }

    private static func keys(_ sign: any SigningKey, _ agree: any AgreementKey, _ crypto: any Crypto) -> Keys {
        Keys(sign: sign, agree: agree, jkt: sign.publicKey.thumbprint(crypto))
    }

    static func mapped<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch StorageFailure.unavailable {
            throw BonafideError.storageUnavailable
        } catch StorageFailure.failed(let number) {
            throw BonafideError.storageFailed(number)
        }
    }
}

extension Ledger {
    /// How long a right to talk to the service lasts that nobody extends.
    static let leaseSeconds: Double = 60
    /// Likewise for an extension, which only renews, and is often ended with work in hand: the app waits for it.
    static let extensionLeaseSeconds: Double = 20

    /// Who talks to the service.
    struct Holder: Sendable {
        let name: String
        /// `Configuration.run`.
        let run: String?
        let role: Configuration.Role

        func lease(from now: Double) -> Record.Lease {
            .init(holder: name, run: run, until: now + (role == .app ? leaseSeconds : extensionLeaseSeconds))
        }
    }

    /// Whether somebody else holds the right now. An end further off than a lease lasts comes of a clock that was set.
    func isLeased(toOtherThan holder: Holder, now: Double) -> Bool {
        guard let lease = record.lease, lease.holder != holder.name else { return false }
        if let run = lease.run, let current = holder.run, run != current { return false }  // that run has ended
        return lease.until > now && lease.until <= now + Ledger.leaseSeconds
    }

    /// Takes or extends the right. Throws as `change`.
    mutating func lease(to holder: Holder, now: Double) throws {
        try change { $0.lease = holder.lease(from: now) }
    }

    /// Gives the right back.
    mutating func release(_ holder: Holder) throws {
        guard record.lease?.holder == holder.name else { return }
        try change { $0.lease = nil }
    }
}
