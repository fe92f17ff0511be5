import CMartlet
import Martlet
import MartletWire

/// What makes two hosts the same: all that the ways in to them say, secrets too, as a digest.
struct ConnectionKey: Hashable, Sendable {
    private let digest: [UInt8]

    init(_ connectors: [any Connector]) throws {
        var bytes: [UInt8] = []
        // There may be secrets in it.
        defer { bytes.withUnsafeMutableBytes { martlet_forget($0.baseAddress, $0.count) } }
        for connector in connectors { try Self.append(connector, to: &bytes) }
        self.init(&bytes)
    }

    /// An open context and nothing else.
    init(_ context: Context) {
        var bytes = withUnsafeBytes(of: ObjectIdentifier(context)) { Array($0) }
        self.init(&bytes)
    }

    private init(_ bytes: inout [UInt8]) {
        var digest = [UInt8](repeating: 0, count: 32)
        bytes.withUnsafeBytes { martlet_sha256($0.baseAddress, $0.count, &digest) }
        self.digest = digest
    }

    /// On from this one, by a connector.
    func appending(_ connector: some Connector) throws -> ConnectionKey {
        var bytes = digest
        defer { bytes.withUnsafeMutableBytes { martlet_forget($0.baseAddress, $0.count) } }
        try Self.append(connector, to: &bytes)
        return ConnectionKey(&bytes)
    }

    private static func append<C: Connector>(_ connector: C, to bytes: inout [UInt8]) throws {
        let type = Array("\(String(reflecting: C.self))".utf8)
        var encoded = try CBOREncoder().encode(connector)
        defer { encoded.withUnsafeMutableBytes { martlet_forget($0.baseAddress, $0.count) } }
        for part in [type, encoded] { bytes += "\(part.count):".utf8 + part }
    }
}
