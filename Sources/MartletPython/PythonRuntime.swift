package import Martlet

/// Which Python is to run in a context: the far machine's own, of any version from 2.7 on.
///
/// Nothing is installed there, nothing is written there, and no image is sent: some eleven kilobytes are.
public struct PythonRuntime: Sendable, Hashable {
    /// What is looked for, the first that is there is taken: names to be found in `PATH`, or paths.
    public var interpreters: [String]
    /// What its code may import from this program's machine. Default: nothing.
    public var modules = PythonModules()

    /// The first of `python3`, `python`, `python2`, `python2.7`, `pypy3` and the system's own that is there.
    public static let python = PythonRuntime(interpreters: [
        "python3", "python", "python2", "python2.7", "pypy3", "/usr/libexec/platform-python",
    ])

    /// One interpreter: a name to be found in `PATH`, a path, or one that begins with `~/`.
    public static func python(_ interpreter: String) -> PythonRuntime { PythonRuntime(interpreters: [interpreter]) }

    /// The bytes that a connect sends, behind its command line.
    public static var byteCount: Int { program.count }

    static let program = Base64.decode(RuntimeProgram.plain)
    static let programWithModules = Base64.decode(RuntimeProgram.withModules)

    /// - Parameter offer: what the finder of modules is told, if there are any.
    /// - Throws: ``MartletError`` `misuse` if an interpreter's name is none.
    package func script(_ offer: [UInt8]? = nil) throws -> RuntimeScript {
        for name in interpreters {
            let isPlain = name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || [0x5F, 0x2E, 0x2B, 0x2D, 0x2F].contains(byte)
            }
            guard isPlain || (name.hasPrefix("~/") && PythonRuntime.python(String(name.dropFirst())).isPlain),
                !name.isEmpty, name.first != "-"
            else {
                throw MartletError(
                    .misuse, "an interpreter's name has letters, digits, and . _ + - / only: \(name)",
                    advice: "to run it as another user, connect by .sudo first")
            }
        }
        guard interpreters.joined(separator: " ").utf8.count <= 160, !interpreters.isEmpty else {
            throw MartletError(.misuse, "the names of the interpreters must have 1 to 160 bytes")
        }
        let first = offer == nil ? Self.program : Self.programWithModules
        return RuntimeScript(
            command: command(first.count, "command -v $_p >/dev/null 2>&1", "absent"),
            carefulCommand: command(
                first.count, "$_p -c \"import sys,zlib;1/(sys.version_info>(2,7))\" </dev/null >/dev/null 2>&1", "$?"),
            program: first + (offer.map { UInt32($0.count).bigEndianBytes + $0 } ?? []),
            build: RuntimeProgram.build
        )
    }

    private var isPlain: Bool { (try? script()) != nil }

    /// Finds an interpreter and executes it. The program comes on standard input, which it reads by itself: what belongs
    /// to the link comes later; the offer stands behind it. Modules of the directory where the login begins must not stand in for the system's.
    private func command(_ count: Int, _ test: String, _ reason: String) -> String {
        let loader =
            "import sys;sys.path[:]=filter(None,sys.path);import os,zlib;f=os.fdopen(0,\\\"rb\\\");"
            + "exec(compile(zlib.decompress(f.read(\(count))),\\\"martlet\\\",\\\"exec\\\"),"
            + "{\\\"__name__\\\":\\\"martlet\\\",\\\"f\\\":f})"
        return "export PYTHONIOENCODING=utf-8:backslashreplace;_r=\"echo MARTLET-$MARTLET_AGENT\";_f=;"
            + "for _p in \(interpreters.joined(separator: " "));do \(test)&&break;_f=\"$_f $_p:\(reason)\";_p=;done;"
            + "[ \"$_p\" ]||{ $_r failed$_f;exit 1;};$_r alive;exec $_p -S -u -c \"\(loader)\""
    }
}

extension UInt32 {
    var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}

/// Without Foundation: what sends itself to other machines pays for each import.
enum Base64 {
    /// - Parameter text: of this program's own making.
    static func decode(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count * 3 / 4)
        var (bits, count): (UInt32, UInt32) = (0, 0)
        for character in text.utf8 {
            let value: UInt8
            switch character {
            case 65...90: value = character - 65
            case 97...122: value = character - 71
            case 48...57: value = character + 4
            case 43: value = 62
            case 47: value = 63
            default: continue
            }
            bits = bits << 6 | UInt32(value)
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> count))
        }
        return bytes
    }
}
