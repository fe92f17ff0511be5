import CMartlet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The executables that may be sent, and what they become on the way: without debug information, compressed.
///
/// Files are read once, when the first connect needs them; a local context needs none.
final class ImageStore: Sendable {
    /// What a connect sends: one image, or one for each platform.
    struct Image: Sendable {
        var files: [[ImageFile]]
        /// What the far cache calls it.
        var id: String
        /// Which builds its hello may name: one for each platform.
        var builds: Set<String> { Set(files.map { $0[0].hash }) }
        var encodings: Set<PartEncoding>
        private let sent = Sent()

        init(files: [[ImageFile]], id: String, encodings: Set<PartEncoding>) {
            self.files = files
            self.id = id
            self.encodings = encodings
        }

        private final class Sent: Sendable {
            struct Content: Hashable {
                var platform: Int
                var indexes: [Int]
                var encoding: PartEncoding
            }

            let contents = Mutex<[Content: Task<Packed, any Error>]>([:])
        }

        /// What is sent of parts.
        struct Packed: Sendable {
            var encoding: PartEncoding
            var bytes: [UInt8]
        }

        /// Which of the images is for a machine; `nil` if none is.
        func platform(system: String, machine: String) -> Int? {
            guard system == "Linux" || system.isEmpty else { return nil }
            return files.firstIndex { machine.isEmpty || $0[0].machine == Self.family(machine) }
        }

        /// The parts of one of the images.
        func parts(of platform: Int) -> ImageParts? {
            let parts = files[platform].compactMap {
                ImageParts.Part(name: $0.name, hash: $0.hash, byteCount: $0.byteCount)
            }
            guard parts.count == files[platform].count else { return nil }
            return ImageParts(id: id, isDynamic: files[platform][0].isDynamic, parts: parts)
        }

        /// 64-bit kernels call themselves by more names than there are instruction sets.
        private static func family(_ machine: String) -> String {
            switch machine {
            case "amd64": "x86_64"
            case "arm64": "aarch64"
            default: machine
            }
        }

        /// The bytes of parts, one behind the other, in an encoding; uncompressed if the compressor fails. Many connects
        /// at once read and compress them once.
        func content(of platform: Int, _ indexes: [Int], _ encoding: PartEncoding) async throws -> Packed {
            let files = files[platform]
            let key = Sent.Content(platform: platform, indexes: indexes, encoding: encoding)
            let work = sent.contents.withLock { contents in
                if let work = contents[key] { return work }
                // Unstructured, since it belongs to all connects that want it and not to the first one.
                let work = Task(executorPreference: Reactor.shared) {
                    var bytes: [UInt8] = []
                    for index in indexes {
                        let content = try files[index].content()
                        if bytes.isEmpty { bytes = content } else { bytes += content }
                    }
                    guard encoding != .raw, let packed = try? await Compressor.compress(bytes, encoding) else {
                        return Packed(encoding: .raw, bytes: bytes)
                    }
                    return Packed(encoding: encoding, bytes: packed)
                }
                // Uncompressed it is as quickly read again as kept.
                if encoding != .raw { contents[key] = work }
                return work
            }
            let result = await work.result
            // What has failed is tried again by the next connect.
            if (try? result.get())?.encoding != encoding {
                sent.contents.withLock { if $0[key] == work { $0[key] = nil } }
            }
            return try result.get()
        }
    }

    /// Where images come from.
    enum Source: Sendable {
        /// This program itself.
        case ownExecutable(id: String?)
        /// Files for one or more platforms.
        case files([String])
    }

    private let source: Source
    /// Our own image's files, if they have no names any more: then it cannot simply be started again.
    private let kept: [KeptFile]
    /// Where this process's own image was allowed to be kept.
    let policy: ImagePolicy
    private let loaded = Mutex<Image?>(nil)
    /// Executables that were sent to this context for commands.
    let sent = SentImages()

    /// Where this process's loader was told to look for its libraries, if it does not know by itself.
    let libraryFolder: String?

    init(
        _ source: Source, kept: [KeptFile] = [], libraryFolder: String? = nil, policy: ImagePolicy = .nothing
    ) {
        self.source = source
        self.kept = kept
        self.libraryFolder = libraryFolder
        self.policy = policy
    }

    /// Whether a local context, too, must be sent its image.
    var isWithoutName: Bool { !kept.isEmpty }

    /// Which build this program is.
    let ownBuild: String = {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = martlet_build_id(&bytes, bytes.count)
        if count >= 16 { return bytes.prefix(count).hexadecimal }
        return (try? ImageFile(path: "/proc/self/exe", name: "image").hash) ?? "unknown"
    }()

    /// What the cache calls our own image: an agent was told, as it may be one of a set.
    var ownID: String {
        if case .ownExecutable(let id?) = source { return id }
        return ownBuild
    }

    /// The image to send. It may read files.
    ///
    /// - Throws: ``MartletError`` `imageUnusable`.
    func image() throws(MartletError) -> Image {
        if let image = loaded.withLock({ $0 }) { return image }
        let image: Image
        switch source {
        case .ownExecutable(let id):
            let files = try kept.isEmpty ? Self.withLibraries("/proc/self/exe", libraryFolder) : Self.read(kept)
            image = Image(
                files: [files],
                id: id ?? Self.id(of: files),
                encodings: Compressor.encodings
            )
        case .files(let paths):
            var all: [[ImageFile]] = []
            for path in paths { all.append(try Self.withLibraries(path)) }
            guard let first = all.first else { throw MartletError(.imageUnusable, "there is no image to send") }
            image = Image(
                files: all,
                id: all.count == 1 ? Self.id(of: first) : Self.id(of: all.flatMap { $0 }),
                encodings: Compressor.encodings
            )
        }
        loaded.withLock { $0 = image }
        return image
    }

    /// One file is called by its own hash, several by the hash of all.
    private static func id(of files: [ImageFile]) -> String {
        guard files.count > 1 else { return files[0].hash }
        let text = Array(files.map { "\($0.name) \($0.hash)\n" }.joined().utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        martlet_sha256(text, text.count, &digest)
        return digest.prefix(20).hexadecimal
    }

    /// An executable with the libraries that the far machine cannot be expected to have: those outside of the system's
    /// own directories.
    private static func withLibraries(
        _ path: String, _ folder: String? = nil
    ) throws(MartletError) -> [ImageFile] {
        let executable = try ImageFile(path: path, name: "image")
        guard executable.isDynamic else { return [executable] }
        var files = [executable]
        var known: Set<String> = []
        let origin = directory(of: path == "/proc/self/exe" ? linkTarget(path) ?? path : path)
        let given = ProcessEnvironment.current["LD_LIBRARY_PATH"]?.split(separator: ":").map(String.init) ?? []
        let extra = (folder.map { [$0] } ?? []) + given
        var waiting = [(executable, origin)]
        while let (file, origin) = waiting.popLast() {
            let folders = extra + file.runPath.map { $0.replacingPrefix("$ORIGIN", with: origin) }
            for name in file.needed where !known.contains(name) {
                // Some libraries name no folder, and find what they need only because another one has loaded it.
                guard let folder = folders.first(where: { access("\($0)/\(name)", R_OK) == 0 }) else { continue }
                known.insert(name)
                guard !["/lib", "/usr/lib", "/lib64"].contains(where: { folder == $0 || folder.hasPrefix($0 + "/") })
                else { continue }
                let library = try ImageFile(path: "\(folder)/\(name)", name: name)
                files.append(library)
                waiting.append((library, folder))
            }
        }
        return [executable] + files.dropFirst().sorted { $0.name < $1.name }
    }

    private static func read(_ kept: [KeptFile]) throws(MartletError) -> [ImageFile] {
        var executable: ImageFile?
        var libraries: [ImageFile] = []
        for kept in kept {
            let file = try ImageFile(path: "/proc/self/fd/\(kept.descriptor)", name: kept.name)
            if kept.name == "image" { executable = file } else { libraries.append(file) }
        }
        guard let executable else { throw MartletError(.imageUnusable, "the image of this context is gone") }
        return [executable] + libraries.sorted { $0.name < $1.name }
    }

    private static func directory(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    private static func linkTarget(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String, with other: String) -> String {
        hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
    }
}
