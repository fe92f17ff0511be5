import Foundation
import Martlet
import MartletOperations
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked, .enabled(if: hasSSHServer, "needs openssh-server")) struct TransferTests {
    @Test func `Files there and back, changed on both sides`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            try await TestFolder.with { folder in
                try "foo".write(toFile: folder.file("one"), atomically: true, encoding: .utf8)
                let there = try await upload(folder.file("one"), to: "\(sshd.home)/made/on the way/one")
                #expect(there == "\(sshd.home)/made/on the way/one")
                try await remote("printf bar >>\(shellQuoted(there))")
                #expect(try await download(there, to: folder.file("new/folder/two")) == folder.file("new/folder/two"))
                #expect(folder.text("new/folder/two") == "foobar")
                // A folder gets it under its own name.
                #expect(try await download(there, to: folder.path) == folder.file("one"))
                #expect(folder.text("one") == "foobar", "what is there is replaced")
                #expect(try await download(there, to: folder.file("fresh/")) == folder.file("fresh/one"))
                try await lcd(folder.path) { () async throws in
                    try await cd("~/made") { () async throws in
                        #expect(try await upload("one", to: "two") == "\(sshd.home)/made/two")
                        #expect(try await download("on the way/one", to: "three") == folder.file("three"))
                        #expect(try await download("two") == folder.file("two"))
                        #expect(try await upload("one", to: "deep/er/") == "\(sshd.home)/made/deep/er/one")
                    }
                }
                #expect(folder.text("two") == "foobar")
            }
        }
    }

    @Test func `What begins with a tilde is in a home if an account may be called so, there and here`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            try await TestFolder.with { folder in
                try "x".write(toFile: folder.file("one"), atomically: true, encoding: .utf8)
                try await lcd(folder.path) {
                    try await cd(sshd.home) { () async throws in
                        let there = try await upload("one", to: "~$one.docx")
                        #expect(there == "\(sshd.home)/~$one.docx")
                        #expect(try await download("~$one.docx") == folder.file("~$one.docx"))
                        #expect(folder.text("~$one.docx") == "x")
                    }
                    let user = try #require(getpwuid(getuid())).pointee
                    let (name, home) = (String(cString: user.pw_name), String(cString: user.pw_dir))
                    try await lcd("~\(name)") { () async throws in
                        #expect(try await local("pwd").lines == [home])
                        #expect(try await download("f", to: "new/g", .dryRun()) == "\(home)/new/g")
                    }
                    let nobody = try await operationError(.transferFailed) {
                        try await lcd("~no-such-user") { try await download("~$one.docx", to: "g") }
                    }
                    #expect(nobody.message == "there is no home directory ~no-such-user on this machine")
                    #expect(!FileManager.default.fileExists(atPath: "~no-such-user"))
                }
            }
        }
    }

    @Test func `A directory that is not there yet is made for what is copied into it`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            try await TestFolder.with { folder in
                try await upload(text: "x", to: "~/one")
                try await lcd(folder.file("new/here")) { () async throws in
                    #expect(try await download("~/one") == folder.file("new/here/one"))
                    try await cd("~/new/there") { () async throws in
                        #expect(try await upload("one", to: ".") == "\(sshd.home)/new/there/one")
                    }
                }
                #expect(folder.text("new/here/one") == "x")
                #expect(try await downloadText("~/new/there/one") == "x")
            }
        }
    }

    @Test func `What is there is replaced, kept, or kept if it is newer`() async throws {
        try await withRemote(.quiet) { sshd, screen in
            try await TestFolder.with { folder in
                let there = "\(sshd.home)/there"
                try "new".write(toFile: folder.file("new"), atomically: true, encoding: .utf8)
                try "old".write(toFile: there, atomically: true, encoding: .utf8)
                let kept = try await operationError(.fileExists) {
                    try await upload(folder.file("new"), to: there, .overwrite(.never), .warnOnly, .show(.failures))
                }
                #expect(kept.message.contains(there) && kept.advice != nil, "\(kept)")
                #expect(screen.text(.error).hasPrefix("Fatal error: upload "))
                #expect(try await downloadText(there) == "old")
                let here = try await operationError(.fileExists) {
                    try await download(there, to: folder.file("new"), .overwrite(.never))
                }
                #expect(here.message.contains(folder.file("new")), "\(here)")
                #expect(folder.text("new") == "new")
                try await upload(folder.file("new"), to: there)
                #expect(try await downloadText(there) == "new")
                struct Mine: Error {}
                await #expect(throws: Mine.self) {
                    try await upload(folder.file("new"), to: there, .overwrite(.never), .abort { _ in Mine() })
                }
            }
        }
    }

    @Test func `Bytes, text, large and empty, with a mode`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            let bytes = Array(0...255) + [UInt8](repeating: 7, count: 3_000_000)
            for (name, content) in [("large", bytes), ("empty", []), ("x y'z", Array("text".utf8))] {
                try await upload(bytes: content, to: "\(sshd.home)/\(name)", .mode(0o640))
                #expect(try await downloadBytes("\(sshd.home)/\(name)") == content)
            }
            #expect(try await remote("stat -c %a \(sshd.home)/large").lines == ["640"])
            try await upload(text: "grüße", to: "~/text")
            #expect(try await downloadText("~/text") == "grüße")
            let limited = try await #require(throws: MartletError.self) {
                try await downloadBytes("\(sshd.home)/large", limit: 1000)
            }
            #expect(limited.code == .limitExceeded)
        }
    }

    @Test func `Folders are an error unless they are meant`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            try await TestFolder.with { folder in
                let up = try await operationError(.misuse) { try await upload(folder.path, to: "~/x") }
                #expect(up.advice == "say .recursive()")
                #expect(try await remoteFileExists("~/x") == false)
                for path in ["~", "~/", "~/obvious/"] {
                    let down = try await operationError(.misuse) { try await download(path, to: folder.file("x")) }
                    #expect(down.message.contains("is a folder"))
                }
                _ = try await operationError(.misuse) { try await downloadText("~") }
                try await local(["mkdir", "-p", folder.file("tree/deep")])
                try await local("echo 1 >\(folder.file("tree/one")); echo 2 >\(folder.file("tree/deep/two"))")
                try await upload(folder.file("tree"), to: "~/", .recursive())
                #expect(try await remote("cat ~/tree/one ~/tree/deep/two").lines == ["1", "2"])
                try await download("~/tree/", to: folder.file("copy"), .recursive())
                #expect(folder.text("copy/deep/two") == "2\n")
            }
        }
    }

    @Test func `What is not there, and what may not be, is told with path, reason and place`() async throws {
        try await withRemote(.quiet) { sshd, _ in
            try await TestFolder.with { folder in
                let nothing = try await operationError(.transferFailed) {
                    try await upload(folder.file("none"), to: "~/made/none")
                }
                #expect(
                    "\(nothing)".contains(folder.file("none")) && "\(nothing)".contains("No such file"), "\(nothing)")
                #expect(try await remoteFileExists("~/made") == false)
                let missing = try await operationError(.transferFailed) {
                    try await download("~/none", to: folder.file("made/none"))
                }
                #expect("\(missing)".contains("\(sshd.home)/none") && missing.host == "web1", "\(missing)")
                #expect(missing.underlying is MartletError)
                let refused = try await operationError(.transferFailed) {
                    try await upload(text: "x", to: "/proc/version")
                }
                #expect(refused.host == "web1")
                #expect(try await upload(text: "x", to: "~/dry", .dryRun()) == "~/dry")
                #expect(try await remoteFileExists("~/dry") == false)
            }
        }
    }

    @Test func `A mock host has files`() async throws {
        let mock = MockHost("m") { $0.onAnything() }
        mock.files["/etc/motd"] = Array("hi".utf8)
        try await withSettings(.mock(mock), .quiet) {
            try await TestFolder.with { folder in
                #expect(try await remoteFileExists("motd", .directory("/etc")))
                #expect(try await remoteFileExists("none", .directory("/etc")) == false)
                #expect(try await downloadText("/etc/motd") == "hi")
                #expect(try await download("/etc/motd", to: folder.file("made/")) == folder.file("made/motd"))
                #expect(folder.text("made/motd") == "hi")
                try await cd("/srv") { try await upload(folder.file("made/motd"), to: "app/") }
                #expect(mock.files["/srv/app/motd"] == Array("hi".utf8))
                _ = try await operationError(.fileExists) {
                    try await upload(text: "x", to: "/etc/motd", .overwrite(.never))
                }
                _ = try await operationError(.transferFailed) { try await downloadText("/none") }
                _ = try await operationError(.misuse) { try await upload(folder.path, to: "/x") }
            }
        }
    }
}
