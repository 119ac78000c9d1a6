import BonafideCore
import Foundation

extension FileHandle {
    private static let pieceOctets = 256 * 1024

    /// The next octets of a file, and nil at its end: memory stays that of one piece.
    func piece() throws -> [UInt8]? {
        #if canImport(Darwin)
            // What FileHandle returns lives until the pool is drained.
            let piece = try autoreleasepool { try read(upToCount: Self.pieceOctets).map { [UInt8]($0) } }
        #else
            let piece = try read(upToCount: Self.pieceOctets).map { [UInt8]($0) }
        #endif
        return piece.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// Keeps the body of a sealed answer in a temporary file, which is there for others once it is released.
struct UnreleasedFile: UnreleasedBody {
    private let url: URL
    private let handle: FileHandle

    /// Throws `URLError.cannotCreateFile`.
    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "bonafide-\(UUID().uuidString)", isDirectory: false)
        var attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        #if os(iOS)
            // What came in secret is closed while the device is locked; a transfer that is under way goes on.
            attributes[.protectionKey] = FileProtectionType.completeUnlessOpen
        #endif
        guard FileManager.default.createFile(atPath: url.path, contents: nil, attributes: attributes),
            let handle = try? FileHandle(forWritingTo: url)
        else { throw URLError(.cannotCreateFile) }
        self.handle = handle
    }

    func append(_ octets: ArraySlice<UInt8>) throws {
        do {
            #if canImport(Darwin)
                try autoreleasepool { try handle.write(contentsOf: octets) }
            #else
                try handle.write(contentsOf: octets)
            #endif
        } catch {
            throw URLError(.cannotWriteToFile)
        }
    }

    func release() throws -> URL {
        do {
            try handle.close()
        } catch {
            throw URLError(.cannotCloseFile)
        }
        return url
    }

    func discard() {
        try? handle.close()
        try? FileManager.default.removeItem(at: url)
    }
}

/// Keeps the body of a sealed answer in memory.
struct UnreleasedData: UnreleasedBody {
    private var data = Data()

    mutating func append(_ octets: ArraySlice<UInt8>) { data.append(contentsOf: octets) }
    func release() -> Data { data }
    mutating func discard() { data = Data() }
}
