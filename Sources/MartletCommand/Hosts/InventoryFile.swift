import Martlet
import MartletFleet
import TOMLKit

/// Where the command line's inventory is.
enum InventoryFile {
    /// - Parameter given: what `--inventory` says.
    /// - Returns: `nil` if there is none.
    /// - Throws: ``CommandFailure`` that names the file, and the place in it.
    static func read(_ given: String?) throws(CommandFailure) -> Inventory? {
        let named = given ?? SystemCalls.variable("MARTLET_INVENTORY")
        let usual = (SystemCalls.variable("XDG_CONFIG_HOME") ?? SystemCalls.variable("HOME").map { "\($0)/.config" })
            .map { "\($0)/martlet/inventory.toml" }
        guard let path = named ?? usual.flatMap({ SystemCalls.isFile($0) ? $0 : nil }) else { return nil }
        let bytes = try SystemCalls.readFile(path)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(path): this is no text")
        }
        do {
            let inventory = try TOMLDecoder().decode(Inventory.self, from: text)
            try inventory.check()
            return inventory
        } catch {
            let what =
                switch error {
                case let error as TOMLParseError:
                    "line \(error.source.begin.line): \(error.description)"
                case let error as DecodingError: InventoryError(error).description
                default: "\(error)"
                }
            throw CommandFailure("\(HarmlessText.of(path)): \(HarmlessText.of(what, keepsLines: true))")
        }
    }
}
