import Foundation
import Testing

@testable import Martlet
@testable import MartletTestKit

/// A small program that behaves like an agent to a bootstrap: it says the hello, tells what it finds around it, removes
/// what it is told to remove, and echoes its input until that ends.
struct FakeAgent: Sendable {
    /// The files to send: the executable first.
    let files: [[UInt8]]
    let image: ImageParts

    static let source = #"""
        #include <dirent.h>
        #include <signal.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        extern char **environ;
        #ifdef LIBRARY
        int fake_answer(void);
        #else
        int fake_answer(void) { return 7; }
        #endif
        #ifndef FILLER
        #define FILLER 1
        #endif
        static const volatile char filler[FILLER] = {1};
        int main(int argc, char **argv) {
            char text[4096], *nonce = getenv("MARTLET_AGENT"), *gone = getenv("MARTLET_REMOVE");
            ssize_t n = readlink("/proc/self/exe", text, sizeof text - 1);
            text[n < 0 ? 0 : n] = 0;
            fwrite("\0MARTLET\0", 1, 9, stdout);
            printf("%sargv0=%s\nexe=%s\nanswer=%d\n", nonce ? nonce : "", argv[0], text, fake_answer() + filler[0] - 1);
            if (gone && *gone) {
                DIR *folder = opendir(gone);
                struct dirent *entry;
                while (folder && (entry = readdir(folder))) {
                    snprintf(text, sizeof text, "%s/%s", gone, entry->d_name);
                    unlink(text);
                }
                rmdir(gone);
            }
            printf("sigpipe=%s\n", signal(SIGPIPE, SIG_DFL) == SIG_IGN ? "ignored" : "default");
            printf("cwd=%s\n", getcwd(text, sizeof text));
            for (char **e = environ; *e; e++) printf("env:%s\n", *e);
            puts("end");
            fflush(stdout);
            while ((n = read(0, text, sizeof text)) > 0)
                if (write(1, text, n) != n) return 1;
            return 5;
        }
        """#

    /// Static; a little under a megabyte.
    static let plain = Result { try build(name: "plain", flags: ["-static"]) }
    /// Dynamic, with a library of its own next to it.
    static let withLibrary = Result { try build(name: "dynamic", flags: ["-DLIBRARY"], library: true) }

    static func build(name: String, flags: [String], library: Bool = false) throws -> FakeAgent {
        let folder = try Scratch()
        defer { folder.remove() }
        let source = folder.path + "/agent.c"
        try writeSource(to: source)
        var paths = [folder.path + "/agent"]
        var link: [String] = []
        if library {
            let path = folder.path + "/libfake.so.1"
            try "int fake_answer(void) { return 7; }".write(
                toFile: folder.path + "/fake.c", atomically: true, encoding: .utf8)
            try cc(["-shared", "-fPIC", "-Wl,-soname,libfake.so.1", "-o", path, folder.path + "/fake.c"])
            paths.append(path)
            link = [path, "-Wl,-rpath,$ORIGIN"]
        }
        try cc(["-O1", "-o", paths[0]] + flags + [source] + link)
        let files = try paths.map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: $0))) }
        let seed = UInt32(truncatingIfNeeded: files.hashValue)
        let hash = String(repeating: "0", count: 8) + String(seed, radix: 16)
        let parts = try zip(["image", "libfake.so.1"], files).map { name, bytes in
            try #require(ImageParts.Part(name: name, hash: hash, byteCount: bytes.count))
        }
        let id = String(repeating: "a", count: 30) + String(UInt32.random(in: 0x1000_0000 ... .max), radix: 16)
        return FakeAgent(
            files: files, image: try #require(ImageParts(id: id, isDynamic: library, parts: parts)))
    }

    /// The same program under another name.
    func renamed(_ id: String) throws -> FakeAgent {
        FakeAgent(
            files: files,
            image: try #require(ImageParts(id: id, isDynamic: image.isDynamic, parts: image.parts)))
    }

    private static func writeSource(to path: String) throws {
        try source.write(toFile: path, atomically: true, encoding: .utf8)
    }

    private static func cc(_ arguments: [String]) throws {
        try #require(try HelperProcess.run(["cc"] + arguments) == .exited(0), "cc \(arguments)")
    }
}

/// A directory of one test's own.
struct Scratch: Sendable {
    let path: String

    init() throws {
        path = "/var/tmp/martlet-test-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }

    /// Every path below, sorted.
    var contents: [String] { (try? FileManager.default.subpathsOfDirectory(atPath: path).sorted()) ?? [] }
}
