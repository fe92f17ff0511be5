import Foundation

// Packs what is compiled together with fragments, the CBOR coder of MartletWire and the far side of MartletFragment, into one
// Swift source: a build of MartletFragment has it made.
//
//     pack-fragment TARGET SOURCE...

/// Without lines that are comments or empty, and without indents.
func smaller(_ source: String) -> String {
    let lines = source.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    return lines.filter { !$0.isEmpty && !$0.hasPrefix("//") }.map { $0 + "\n" }.joined()
}

let files = CommandLine.arguments.dropFirst(2).map { URL(filePath: $0) }
let entries = try files.map { file in
    let source = try String(contentsOf: file, encoding: .utf8)
    // The indents of its lines would mean something.
    guard !source.contains("\"\"\"") else {
        throw CocoaError(
            .formatting, userInfo: [NSDebugDescriptionErrorKey: "\(file.path) has a text of several lines"])
    }
    return "(\n\"\(file.lastPathComponent)\",\n###\"\"\"\n\(smaller(source))\"\"\"###\n),\n"
}
let text = """
    /// What is compiled together with a fragment: names and sources.
    enum FarSideSources {
    static let all: [(String, String)] = [
    \(entries.joined())]
    }

    """
try Data(text.utf8).write(to: URL(filePath: CommandLine.arguments[1]))
