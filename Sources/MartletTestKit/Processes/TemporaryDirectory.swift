import Foundation
import Glibc

/// A directory of mode 0700 that a scope makes and removes, with a guard that cleans up if this process dies first.
struct TemporaryDirectory: Sendable {
    let path: String

    /// A text that is nowhere else: put it into the environment of whatever is started here.
    let marker: String

    private let guardian: HelperProcess
    private let lifeline: Int32

    /// - Throws: ``TestKitError`` with code `failed`.
    init() throws {
        // Short, because it holds Unix sockets, whose paths may have 107 bytes.
        // Without symbolic links, because paths in /proc have none.
        let wanted = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        let parent = URL(fileURLWithPath: wanted).resolvingSymlinksInPath().path
        var template = Array("\(parent)/martlet-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw TestKitError(code: .failed, message: "no directory in \(parent): \(String(cString: strerror(errno)))")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        marker = "MARTLET_TESTKIT=\(path)"

        // The guard reads from a pipe that ends when this process does, whatever ends it. A pipe with a name, because
        // only those open close-on-exec in one step here, and a copy in some child would keep the guard waiting.
        let pipe = "\(path)/lifeline"
        guard mkfifo(pipe, 0o600) == 0 else {
            throw TestKitError(code: .failed, message: "\(pipe): \(String(cString: strerror(errno)))")
        }
        lifeline = open(pipe, O_RDWR | O_CLOEXEC)
        guardian = try HelperProcess(["sh", "-c", Self.guardScript, "sh", path])
    }

    /// Kills everything that carries the marker or the path.
    private static let guardScript = """
        read -r _ < "$1/lifeline"
        for process in /proc/[0-9]*; do
            [ "$process" = /proc/$$ ] && continue
            grep -qsaF -e "$1" "$process/environ" "$process/cmdline" && kill -9 "${process#/proc/}"
        done
        rm -rf "$1"
        """

    /// Writes a file of mode 0600 and returns its path.
    @discardableResult
    func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
        let file = "\(path)/\(name)"
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        chmod(file, mode)
        return file
    }

    /// The running processes that belong here: by the marker, the path in their arguments, or a file here that they use.
    func processes() -> Set<ProcessTable.Entry> {
        var found = Set(ProcessTable.carrying(path))
        found.formUnion(ProcessTable.using(directory: path))
        return found.filter { $0.pid != guardian.pid }
    }

    /// Kills ``processes()`` and removes the directory.
    func remove() async {
        await uncancelled {
            _ = await poll(within: .seconds(10)) {
                let left = processes()
                for process in left { process.send(signal: SIGKILL) }
                return left.isEmpty
            }
            await guardian.end()
            close(lifeline)
            try? FileManager.default.removeItem(atPath: path)
        }
    }
}
