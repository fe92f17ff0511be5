/// What the second stage does differently for one file and for a folder of an executable and its libraries.
struct SecondStageLayout {
    let image: ImageParts
    let isFolder: Bool
    let isDynamic: Bool
    let setsLibraryPath: Bool
    let keepsCache: Bool
    let isCareful: Bool
    let cacheName: String

    init(image: ImageParts, first: FirstStage, cacheName: String) {
        self.image = image
        isFolder = first.usesFolder || image.isDynamic
        isDynamic = image.isDynamic
        setsLibraryPath = first.setsLibraryPath
        keepsCache = first.policy == .disk
        isCareful = first.isCareful
        self.cacheName = cacheName
    }

    var executableSize: Int { image.parts[0].byteCount }

    /// The parts' sum, twice if they arrive in one file that is then split.
    var neededKiB: Int { (image.parts.reduce(0) { $0 + $1.byteCount } * (isFolder ? 2 : 1) + 1023) / 1024 }

    /// Where the bytes go first.
    var target: String { isFolder ? #""$_D/.blob""# : #""$_f""# }

    private var libraries: [(index: Int, part: ImageParts.Part)] {
        image.parts.enumerated().dropFirst().map { (index: $0.offset, part: $0.element) }
    }

    /// Takes the libraries that the cache has, by hard links made before anything is reported, so that no other
    /// session's pruning can take them away; `_M` becomes the list of the missing parts. What failed before is not taken
    /// again.
    var linkCached: String {
        guard keepsCache, !isCareful else {
            return "_M=\(image.parts.indices.map(String.init).joined(separator: ","));"
        }
        guard !libraries.isEmpty else { return "_M=0;" }
        let calls = libraries.map { "_g \($0.index) \($0.part.hash) \($0.part.name);" }.joined()
        return #"_M=0;_g(){ [ $_k = 1 ]&&[ -O "$_C/lib-$2" ]&&ln "$_C/lib-$2" "$_D/$3"||_M=$_M,$1;};"# + calls
    }

    /// A condition: the sizes are right. A folder's parts come as one file, since `head` may read ahead on a pipe but
    /// not on a file that is opened anew for every part.
    var check: String {
        guard isFolder else { return #"[ $(wc -c <"$_f") -eq \#(executableSize) ]"# }
        let calls = image.parts.enumerated().map { index, part in
            "_s \(index) \(index == 0 ? "image" : part.name) \(part.byteCount)"
        }
        return #"{ _o=1;_s(){ case ,$_M, in *,$1,*);;*)return 0;;esac;tail -c +$_o "$_D/.blob"|head -c $3 >"$_D/$2";"#
            + #"_o=$((_o+$3));[ $(wc -c <"$_D/$2") -eq $3 ];};\#(calls.joined(separator: "&&"))&&"#
            + #"[ $(wc -c <"$_D/.blob") -eq $((_o-1)) ]&&rm "$_D/.blob";}"#
    }

    /// Renames into the cache, or lets the name go: a static image is executed by descriptor after its directory is
    /// gone; without /proc, and for a dynamic image, whose loader looks next to it, the agent removes the directory.
    var install: String {
        let libraryPath =
            setsLibraryPath
            ? #"export LD_LIBRARY_PATH="${_f%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}";"# : ""
        // The exit trap keeps it in mind: it runs only if the image cannot be executed.
        let handOver = #"export MARTLET_REMOVE="$_D""#
        let vanish =
            isDynamic
            ? handOver
            : #"exec 9<"$_f";if [ -e /proc/self/fd/9 ];then rm -rf "$_D";_D=;_f=/proc/self/fd/9;else \#(handOver);fi"#
        guard keepsCache else { return vanish + ";" + libraryPath }
        return "if [ $_k = 1 ];then \(keep)||{ _b failed;_r again $_l:failed;continue;};rm -rf \"$_D\";_D=;"
            + "else \(vanish);fi;\(libraryPath)"
    }

    /// A command that succeeds once the image is in the cache, with `_f` as its path. Each file is renamed on its own,
    /// the executable last: two sessions at once put the same content under the same names. A careful one replaces what
    /// is there, be it a directory where a file should be.
    private var keep: String {
        let kept = #""$_C/\#(cacheName)"#
        let clean = isCareful ? #"rm -rf \#(kept)";"# : ""
        guard isFolder else { return #"{ \#(clean)mv -f "$_f" \#(kept)"&&_f=\#(kept)";}"# }
        let calls = libraries.map { "_i \($0.part.name) \($0.part.hash)&&" }.joined()
        let link = isCareful ? "" : #"[ -e "$_C/lib-$2" ]||"#
        return #"{ \#(clean)_F=\#(kept)";mkdir -p -m 700 "$_F";_i(){ \#(link)ln -f "$_D/$1" "$_C/lib-$2";"#
            + #"[ -e "$_F/$1" ]||mv -f "$_D/$1" "$_F/$1";};\#(calls)mv -f "$_f" "$_F/image"&&_f=$_F/image;}"#
    }
}
