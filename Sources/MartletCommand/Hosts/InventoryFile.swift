import Martlet
import MartletFleet
import TOMLKit

/// Where the command line's inventory is.
enum InventoryFile {
    /// How deep keys and values may be in each other.
    private static let depthLimit = 100

    /// - Parameter given: what `--inventory` says.
    /// - Returns: `nil` if there is none.
    static func path(_ given: String?) -> String? {
        let named = given ?? SystemCalls.variable("MARTLET_INVENTORY")
        let usual = (SystemCalls.variable("XDG_CONFIG_HOME") ?? SystemCalls.variable("HOME").map { "\($0)/.config" })
            .map { "\($0)/martlet/inventory.toml" }
        return named ?? usual.flatMap { SystemCalls.isFile($0) ? $0 : nil }
    }

    /// - Throws: ``CommandFailure`` that names the file, and the place in it.
    static func read(_ path: String) throws(CommandFailure) -> Inventory {
        let bytes = try SystemCalls.readFile(path)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(path): this is no text")
        }
        if let line = TOMLDepth.line(deeperThan: depthLimit, in: bytes) {
            throw CommandFailure(
                "\(HarmlessText.of(path)): line \(line): keys and values are more than \(depthLimit) deep in each other"
            )
        }
        do {
            let inventory = try TOMLDecoder().decode(Inventory.self, from: text)
            try inventory.check(kinds: ConnectorKind.ofCommandLine)
            return inventory
        } catch {
            let what =
                switch error {
                case let error as TOMLParseError:
                    "line \(error.source.begin.line): \(error.description)"
                case let error as DecodingError: InventoryError(error.withUsualTypes).description
                default: "\(error)"
                }
            throw CommandFailure("\(HarmlessText.of(path)): \(HarmlessText.of(what, keepsLines: true))")
        }
    }
}

extension DecodingError {
    /// The coder's own types are nothing that a person knows: lists and tables instead.
    fileprivate var withUsualTypes: DecodingError {
        guard case .typeMismatch(let type, let context) = self else { return self }
        return switch type {
        case is TOMLArray.Type: .typeMismatch([Any].self, context)
        case is TOMLTable.Type: .typeMismatch([String: Any].self, context)
        default: self
        }
    }
}
