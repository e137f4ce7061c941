import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

/** What a vendor's Java sample needs around it: a program that prints the status and the answer. */
public final class Sample {
    private Sample() {}

    public static void main(String[] arguments) throws Exception {
        // THE SAMPLE
        System.out.println(response.code());
        System.out.println(response.body().string());
        client.dispatcher().executorService().shutdown();
        client.connectionPool().evictAll();
    }
}
