package import Martlet
import MartletReactor

/// A fragment that was compiled, to be run in any number of contexts.
public final class CompiledFragment: Sendable {
    /// What the source is called.
    public let file: String
    /// What the compiler printed although it took the source: warnings. Empty if it was compiled before.
    public let warnings: String
    package let image: ProgramImage
    private let architecture: String
    /// Held open: its name may go, when many others are compiled.
    private let descriptor: Int32

    init(_ descriptor: Int32, id: String, byteCount: Int, file: String, warnings: String, architecture: String) {
        image = ProgramImage(id: id, path: "/proc/self/fd/\(descriptor)", byteCount: byteCount)
        self.file = file
        self.warnings = warnings
        self.architecture = architecture
        self.descriptor = descriptor
    }

    deinit { closeDescriptor(descriptor) }

    /// - Throws: ``MartletError`` `wrongPlatform` if it cannot run there.
    package func check(_ context: Context) throws(MartletError) {
        try Self.check(context, architecture: architecture)
    }

    static func check(_ context: Context, architecture: String) throws(MartletError) {
        let facts = context.facts
        if facts.system == "Linux", Self.family(facts.architecture) == Self.family(architecture) { return }
        throw MartletError(
            .wrongPlatform,
            "the fragment is compiled for Linux on \(architecture), and the machine has \(facts.system) on \(facts.architecture)",
            route: context.route,
            advice: "name a target that the machine runs, and an SDK for it, as swiftc -target and -sdk do")
    }

    private static func family(_ machine: String) -> String {
        switch machine {
        case "amd64": "x86_64"
        case "arm64": "aarch64"
        default: machine
        }
    }
}
